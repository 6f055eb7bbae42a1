"""Filters for addresses: of the web and of mail, all of them or by their domains."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal, TypeAlias

from dragoman.ai.errors import ValidationError
from dragoman.ai.guardrails.base import Guardrail
from dragoman.ai.guardrails.words import REDACTED, GuardrailSeverity, Span

__all__ = ["DomainAction", "EmailFilter", "UrlFilter"]

DomainAction: TypeAlias = Literal["block", "allow", "deny"]
"""Any address is a match, any but the listed ones, or the listed ones alone."""

_URL = re.compile(r"https?://[^\s<>\"'`]{1,2040}", re.IGNORECASE)
_SCHEME = re.compile(r"https?://", re.IGNORECASE)
_BREAKS = "<>\"'`"
_TRAILING = ".,;:!?)]}*_"
_HOST_ENDS = re.compile(r"[/\\?#]")
_MAX_URL = 2048

_LOCAL = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.!#$%&'*+/=?^_`{|}~-"
_DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.){1,8}[A-Za-z]{2,24}")
_MAIL = _LOCAL + "@"
_MAX_LOCAL, _MAX_MAIL = 64, 640


class _ByDomain(Guardrail):
    """What the two have in common: a list of domains, each with all below it."""

    def __init__(
        self,
        rule_id: str,
        action: DomainAction = "block",
        severity: GuardrailSeverity = GuardrailSeverity.INFO,
        allowed_domains: Iterable[str] | None = None,
        blocked_domains: Iterable[str] | None = None,
        replacement: str | None = None,
    ) -> None:
        super().__init__(rule_id, severity)
        if action not in ("block", "allow", "deny"):
            raise ValidationError(
                f"there is no action {action!r}", field="action", expected="block, allow or deny", actual=action
            )
        self._action = action
        self._allowed = _domains(allowed_domains)
        self._blocked = _domains(blocked_domains)
        self._replacement = REDACTED if replacement is None else replacement

    def _refuses(self, host: str) -> bool:
        if self._action == "block":
            return True
        if self._action == "allow":
            return bool(self._allowed) and not _listed(host, self._allowed)
        return _listed(host, self._blocked)


class UrlFilter(_ByDomain):
    """Addresses that begin with http:// or https://.

    `block`: any; `allow`: all but those of `allowed_domains`, and an empty list allows any; `deny`:
    those of `blocked_domains`. A domain stands for all below it, too.
    """

    reach = _MAX_URL
    default_message: ClassVar[str] = "a web address"

    def _find(self, text: str, start: int) -> Iterator[Span]:
        for match in _URL.finditer(text, start):
            url = match[0].rstrip(_TRAILING)
            if self._refuses(_host(url)):
                yield Span(match.start(), match.start() + len(url), self._replacement, self.default_message)

    def _held(self, text: str, start: int) -> int:
        """From where an address begins that goes on to the end, or may begin."""
        tail = text[max(start, len(text) - self.reach) :]
        if not tail or tail[-1].isspace():
            return 0
        word = tail.rsplit(maxsplit=1)[-1]
        word = word[1 + max(word.rfind(mark) for mark in _BREAKS) :]
        begun = _SCHEME.search(word)
        if begun is not None:
            return len(word) - begun.start()
        low = word[-8:].lower()
        return next((size for size in range(len(low), 0, -1) if "https://".startswith(low[-size:])), 0) or next(
            (size for size in range(len(low), 0, -1) if "http://".startswith(low[-size:])), 0
        )


class EmailFilter(_ByDomain):
    """Mail addresses, by their domains as `UrlFilter` does it."""

    reach = _MAX_MAIL
    default_message: ClassVar[str] = "a mail address"

    def _find(self, text: str, start: int) -> Iterator[Span]:
        at = text.find("@", start)
        while at >= 0:
            local = text[max(start, at - _MAX_LOCAL) : at]
            begin = at - (len(local) - len(local.rstrip(_LOCAL)))
            while begin < at and text[begin] in _QUOTES:
                begin += 1
            domain = _DOMAIN.match(text, at + 1) if begin < at else None
            if domain is not None and self._refuses(domain[0].lower()):
                yield Span(begin, domain.end(), self._replacement, self.default_message)
                start = domain.end()
            at = text.find("@", max(at + 1, start))

    def _held(self, text: str, start: int) -> int:
        tail = text[max(start, len(text) - self.reach) :]
        return len(tail) - len(tail.rstrip(_MAIL))


_QUOTES = "'`*_/{|}=?&#!.-"
"""What may stand in an address and most often stands around one."""


def _domains(names: Iterable[str] | None) -> frozenset[str]:
    return frozenset(name.strip().lower().strip(".").removeprefix("*.") for name in names or ()) - {""}


def _listed(host: str, domains: frozenset[str]) -> bool:
    """Whether the host is one of the domains, or below one."""
    while host:
        if host in domains:
            return True
        _, _, host = host.partition(".")
    return False


def _host(url: str) -> str:
    """The host that a browser would ask: without user, port and path; a backslash ends it as a slash does."""
    rest = url.split("://", 1)[1]
    authority = _HOST_ENDS.split(rest, maxsplit=1)[0].rpartition("@")[2]
    host = authority[1:].partition("]")[0] if authority.startswith("[") else authority.partition(":")[0]
    return host.lower().strip(".")
