"""What the handlers of the Noukai face share: which flow a path means, who may use it, and whose a run is.

The order of checks is the wire's (noukai.md 5.4): the dispatcher has seen to key and rate, here come
organisation and project, flow, then, after the body, version and credits.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from dragoman.core.errors import Forbidden, NotFound
from dragoman.core.flows import FlowInfo, Node
from dragoman.core.ids import is_id
from dragoman.core.records import Run
from dragoman.noukai.translate import FlowFold, Plan, plan_of
from dragoman.server.credits import BUDGET_OF, Ledger
from dragoman.server.http import Call
from dragoman.server.noukai.errors import refuse
from dragoman.server.services import Services

_OLD_CLIENT = re.compile(r"noukai-python/0\.(\d{1,6})(?:\.|\s|$)", re.ASCII)
_VERSION = re.compile(r"v(0|[1-9]\d{0,8})")
_DRAFT_GENERATION = 5
"""The published client from which on the base path means the production version."""

AGENTS = "agents"
"""The project under which an agent's runs are found."""


class Context:
    """The services, and what belongs to the face as a whole."""

    def __init__(self, services: Services, ledger: Ledger) -> None:
        self.services = services
        self.settings = services.settings.noukai
        self.expose = services.settings.errors.expose
        self._ledger = ledger

    # ------------------------------------------------------------------ flows

    def check_place(self, call: Call) -> str:
        """The name of the path's flow. Raises Forbidden for another organisation or project."""
        who, params = call.principal, call.params
        if params["org"] != who.tenant:
            raise Forbidden("This key does not belong to that organisation.", code="FORBIDDEN")
        if who.projects is not None and params["project"] not in who.projects:
            raise Forbidden("This key is limited to other projects.", code="FORBIDDEN")
        return f"{params['project']}/{params['slug']}"

    def flow(self, call: Call) -> FlowInfo:
        """The flow of the path. Raises Forbidden, NotFound."""
        name = self.check_place(call)
        found = self.services.engine.flow(name)
        version = call.params.get("version")
        if version is not None and not _VERSION.fullmatch(version):
            raise NotFound(f"There is no {call.path[:200]!r} here.")
        if found is None:
            raise NotFound(f"There is no flow {name[:200]!r}.", code="FLOW_NOT_FOUND")
        return found

    def version(self, call: Call, flow: FlowInfo) -> int | None:
        """The version that the path means, as `FlowCall.version` has it. Raises NotFound."""
        named = call.params.get("version")
        if named is not None:
            number = int(named[1:])
            if number not in flow.versions:
                raise NotFound(f"The flow has no version {number}.", code="FLOW_VERSION_NOT_FOUND")
            return number
        rule = self.settings.base_version
        if rule == "auto":
            old = _OLD_CLIENT.match(call.headers.get("user-agent", ""))
            rule = "draft" if old is not None and int(old[1]) < _DRAFT_GENERATION else "production"
        if rule == "draft" and 0 in flow.versions:
            return 0
        if flow.production is None and 0 not in flow.versions:
            raise NotFound("The flow has no version yet.", code="FLOW_VERSION_NOT_FOUND")
        return None

    def check_overrides(self, flow: FlowInfo, version: int | None, *overrides: Mapping[str, Any]) -> None:
        """Raises BadRequest for an override of a step that the version does not have."""
        number = version if version is not None else flow.production or 0
        known = set(_ids(flow.versions.get(number, ())))
        unknown = [step for each in overrides for step in each if step not in known]
        if unknown:
            text = f"There is no step {unknown[0][:100]!r}; known: {', '.join(sorted(known))}."
            raise refuse(400, "BLOCK_OVERRIDES_INVALID", text)

    # ------------------------------------------------------------------ credits

    async def check_credits(self, call: Call) -> None:
        """Raises the error for an organisation or key that has none left, or that nobody can tell of."""
        try:
            left = await self._ledger.left(call.principal)
        except Exception as error:
            self.services.log.error("the ledger does not answer", exc_info=True)
            text = "Credits cannot be looked up now."
            raise refuse(503, "BILLING_UNAVAILABLE", text) from error
        if left is not None and left <= 0:
            raise refuse(402, "INSUFFICIENT_CREDITS", "There are no credits left for this.")

    def metadata(self, call: Call, *, keyed: bool) -> dict[str, Any]:
        """What a run keeps of its call: whether a repeat may ask for its answer, and whose budget it uses."""
        made: dict[str, Any] = {"keyed": True} if keyed else {}
        who = call.principal
        if who.budget is not None and who.key_id is not None:
            made[BUDGET_OF] = {"key": who.key_id, "budget": who.budget}
        return made

    # ------------------------------------------------------------------ runs

    async def run(self, call: Call, id: str | None = None) -> Run:
        """The run of the path, or of this id, if it is one of the path's flow. Raises Forbidden, NotFound."""
        name = self.check_place(call)
        run_id = id if id is not None else call.params["run"]
        found = await self.services.store.run(run_id, tenant=call.principal.tenant) if is_id(run_id) else None
        if found is not None and self._is_at(found, name, call):
            return found
        if id is None and self.services.engine.flow(name) is None and not name.startswith(AGENTS + "/"):
            raise NotFound(f"There is no flow {name[:200]!r}.", code="FLOW_NOT_FOUND")
        raise NotFound("There is no such run of this flow.", code="not_found:run")

    def _is_at(self, run: Run, name: str, call: Call) -> bool:
        if run.kind in ("execute", "step", "job"):
            return run.name == name
        # an agent's run belongs to a user, and only that user's key may know of it
        return f"{AGENTS}/{run.name}" == name and run.owner == call.principal.user != ""

    def flow_id(self, name: str) -> str:
        """The id of a flow, also of one that is no longer served."""
        found = self.services.engine.flow(name)
        if found is not None:
            return found.id
        return "f_" + hashlib.sha256(f"{self.services.app.name}\0{name}".encode()).hexdigest()[:12]

    def plan(self, run: Run) -> Plan:
        """What of a run stays the same."""
        tree = run.options.get("tree") or ({"id": run.name, "name": run.name},)
        return plan_of(run.id, self.flow_id(run.name), tree)

    def fold(self, run: Run) -> FlowFold:
        """A fresh reader of a run's events."""
        return FlowFold(self.plan(run), expose=self.expose)


def _ids(nodes: tuple[Node, ...]) -> list[str]:
    found: list[str] = []
    for node in nodes:
        found += [node.id, *_ids(node.children), *_ids(node.otherwise)]
    return found
