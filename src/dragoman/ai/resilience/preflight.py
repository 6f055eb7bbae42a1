"""Asking all policies before a request is made, at once and without waiting.

A check that passes holds a place, a token and, with a half-open breaker, a trial; the request's end
gives them back: `on_success` or `on_failure`, then `release_permit`. `PreflightContext` does both.
One that does not pass has taken nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType

from dragoman.ai.resilience.backpressure import Backpressure
from dragoman.ai.resilience.circuit_breaker import CircuitBreaker
from dragoman.ai.resilience.rate_limiter import AdaptiveRateLimiter, RateLimiter
from dragoman.ai.resilience.refusals import PreflightError
from dragoman.ai.resilience.signals import SignalsSnapshot


@dataclass(frozen=True)
class PreflightConfig:
    """What to check. `fail_fast` stops at the first refusal.

    `timeout_ms` is what a caller is told to stay away when no place is free, since nobody can tell
    when one will be.
    """

    check_rate_limiter: bool = True
    check_circuit_breaker: bool = True
    check_backpressure: bool = True
    fail_fast: bool = True
    timeout_ms: float = 30000.0


class Permit:
    """What a passed check holds. Settling and releasing again do nothing."""

    __slots__ = ("_backpressure", "_breaker", "_era", "_limiter")

    def __init__(self) -> None:
        self._breaker: CircuitBreaker | None = None
        self._era: int | None = None
        self._limiter: RateLimiter | None = None
        self._backpressure: Backpressure | None = None

    def ask_breaker(self, breaker: CircuitBreaker) -> bool:
        self._era = breaker.ask()
        self._breaker = breaker if self._era is not None else None
        return self._breaker is not None

    def ask_limiter(self, limiter: RateLimiter) -> bool:
        self._limiter = limiter if limiter.take_now() else None
        return self._limiter is not None

    def ask_backpressure(self, backpressure: Backpressure) -> bool:
        self._backpressure = backpressure if backpressure.enter_now() else None
        return self._backpressure is not None

    @property
    def settled(self) -> bool:
        """Whether the breaker has heard how the request ended, or need not."""
        return self._breaker is None

    def settle(self, error: BaseException | None) -> None:
        """Tell the breaker how the request ended."""
        breaker, self._breaker = self._breaker, None
        if breaker is not None:
            breaker.settle(error, self._era)

    def fail(self) -> None:
        """Tell the breaker that the provider failed."""
        breaker, self._breaker = self._breaker, None
        if breaker is not None:
            breaker.on_failure(self._era)

    def release(self) -> None:
        """Give the place back; a request that nobody reported on proved nothing."""
        breaker, self._breaker = self._breaker, None
        if breaker is not None:
            breaker.on_abandoned(self._era)
        backpressure, self._backpressure = self._backpressure, None
        if backpressure is not None:
            backpressure.release()

    def undo(self) -> None:
        """Give everything back: the request will not be made."""
        limiter, self._limiter = self._limiter, None
        if limiter is not None:
            limiter.give_back()
        self.release()


@dataclass
class PreflightResult:
    """`permit` is None when the check did not pass; `signals` are those from before it."""

    passed: bool = True
    permit: Permit | None = None
    signals: SignalsSnapshot | None = None
    errors: list[PreflightError] = field(default_factory=list)

    def release_permit(self) -> None:
        """Give the permit back; again, it does nothing."""
        permit, self.permit = self.permit, None
        if permit is not None:
            permit.release()


class PreflightChecker:
    """Breaker, then limiter, then backpressure: whichever are given and switched on."""

    def __init__(
        self,
        rate_limiter: RateLimiter | None = None,
        circuit_breaker: CircuitBreaker | None = None,
        backpressure: Backpressure | None = None,
        config: PreflightConfig | None = None,
        provider: str | None = None,
        model: str | None = None,
    ) -> None:
        self._config = config or PreflightConfig()
        self._limiter = rate_limiter
        self._breaker = circuit_breaker
        self._backpressure = backpressure
        self._provider = provider
        self._model = model
        self._permits: list[Permit] = []

    async def check(self) -> PreflightResult:
        """Whether a request may be made now; never waits and never raises."""
        permit = Permit()
        signals = self.get_signals()
        errors: list[PreflightError] = []
        for ask in (self._ask_breaker, self._ask_limiter, self._ask_backpressure):
            refusal = ask(permit)
            if refusal is not None:
                errors.append(refusal)
                if self._config.fail_fast:
                    break
        if errors:
            permit.undo()
            return PreflightResult(False, None, signals, errors)
        self._permits = [kept for kept in self._permits if not kept.settled]
        self._permits.append(permit)
        return PreflightResult(True, permit, signals, errors)

    def get_signals(self) -> SignalsSnapshot:
        """How the parts are doing now."""
        places = self._backpressure
        return SignalsSnapshot.from_components(
            inflight=(places.config.max_concurrent, places.current_inflight) if places and places.is_limited else None,
            rate_limiter=self._limiter,
            circuit_breaker=self._breaker,
            provider=self._provider,
            model=self._model,
        )

    def on_success(self) -> None:
        """The request of the oldest check that is not settled succeeded."""
        permit = self._oldest()
        if permit is not None:
            permit.settle(None)
        elif self._breaker is not None:
            self._breaker.on_success()

    def on_failure(self) -> None:
        """It failed, and the provider is to blame."""
        permit = self._oldest()
        if permit is not None:
            permit.fail()
        elif self._breaker is not None:
            self._breaker.on_failure()

    async def update_rate_limits(self, headers: Mapping[str, str]) -> None:
        """Let an adaptive limiter keep to what an answer's headers say; another kind is left alone."""
        if isinstance(self._limiter, AdaptiveRateLimiter):
            self._limiter.update_from_headers(headers)

    def _oldest(self) -> Permit | None:
        while self._permits:
            permit = self._permits.pop(0)
            if not permit.settled:
                return permit
        return None

    def _ask_breaker(self, permit: Permit) -> PreflightError | None:
        breaker = self._breaker
        if breaker is None or not self._config.check_circuit_breaker or permit.ask_breaker(breaker):
            return None
        refusal = breaker.refusal()
        seconds = refusal.time_until_retry
        return PreflightError(refusal.message, "circuit_breaker", True, None if seconds is None else seconds * 1000)

    def _ask_limiter(self, permit: Permit) -> PreflightError | None:
        limiter = self._limiter
        if limiter is None or not self._config.check_rate_limiter or permit.ask_limiter(limiter):
            return None
        wait = limiter.get_wait_time()
        return PreflightError(
            f"the rate limit is reached; try again in {wait:.3g} s", "rate_limiter", True, wait * 1000
        )

    def _ask_backpressure(self, permit: Permit) -> PreflightError | None:
        places = self._backpressure
        if places is None or not self._config.check_backpressure or permit.ask_backpressure(places):
            return None
        text = f"{places.current_inflight} requests are under way, as many as may be"
        return PreflightError(text, "backpressure", True, self._config.timeout_ms)


class PreflightContext:
    """`async with PreflightContext(checker) as flight:` checks, and gives everything back at the end.

    Does not raise when the check does not pass: ask `flight.passed`. How the request ended is taken
    from the body (an error of the provider is a failure), unless `on_success` or `on_failure` said so.
    """

    def __init__(self, checker: PreflightChecker) -> None:
        self._checker = checker
        self._result = PreflightResult(passed=False)

    async def __aenter__(self) -> PreflightContext:
        self._result = await self._checker.check()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._result.permit is not None and error is not None:
            self._result.permit.settle(error)
        self._result.release_permit()

    @property
    def passed(self) -> bool:
        return self._result.passed

    @property
    def signals(self) -> SignalsSnapshot | None:
        return self._result.signals

    @property
    def errors(self) -> list[PreflightError]:
        return self._result.errors

    def on_success(self) -> None:
        """The request succeeded."""
        if self._result.permit is not None:
            self._result.permit.settle(None)

    def on_failure(self) -> None:
        """The request failed, and the provider is to blame."""
        if self._result.permit is not None:
            self._result.permit.fail()
