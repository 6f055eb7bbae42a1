"""Every route, every kind of foreign id: the answer is that of an id that does not exist, byte for byte.

The routes come from the running application's own faces; one that `TAKES` does not know makes the
proof fail. The ids are those of an owner with a finished and a waiting run, and with a session of flows; those who
try them are another user of the tenant, the same user name in another tenant, a stranger, and an admin of
another tenant. Runs of flows, jobs and sessions belong to the tenant, so its other users are not tried on
those. Where both ids succeed (a new chat may have any id), fresh ids and times are left out of the
comparison. The exceptions are Kai's, another user's chat in one project is 403, and Noukai's, where the session of
another organisation is.
"""

from __future__ import annotations

import os
import re
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import httpx2

from dragoman import App, Flow, client_tool
from dragoman.core.ids import canonical
from dragoman.server.http import Route
from dragoman.testing.serving import serve
from prove import app
from prove.guards import take_out
from prove.places import OF_TENANT, OWN_IN_PATH, PUBLIC_IN_PATH, TAKES, Slot, World, chatkit, spelt
from prove.reading import V1
from prove.verdict import Ground, Verdict

GUARD = "owner-check"
SECONDS = 240.0
SECRET = "the-owners-secret"
STRANGERS = ("acme.other{n}", "tenant{n}.owner", "tenant{n}.nobody", "tenant{n}.boss.admin")
_PATH_NAME = re.compile(r"\{(\w+)\}")
_FRESH = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|\b1[0-9]{9}(\.[0-9]+)?\b|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z"
    r"|\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b|\bchatcmpl-[0-9a-f]{32}\b"
)


SERVED = App(
    "prove",
    agents=app.app.agents,
    flows=[
        Flow(
            "proof/asks", [client_tool("ask", tool="look_up", arguments=lambda ctx: {"q": ctx.message})], capture="full"
        )
    ],
    authenticate=app.authenticate,
)


@dataclass(slots=True)
class Found:
    """What the proof has seen."""

    routes: int = 0
    places: int = 0
    compared: int = 0
    forbidden: int = 0
    faults: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)


async def prove(ground: Ground) -> Verdict:
    os.environ["TRACE"] = str(ground.folder / "trace.txt")
    (ground.folder / "trace.txt").touch()
    if ground.guard is not None:
        take_out(ground.guard)
    settings: dict[str, Any] = {"kai.approval.hold_seconds": 0, "log.requests": False, "chatkit.uploads.direct": True}
    with serve(SERVED, **settings) as served:
        found = Found()
        async with httpx2.AsyncClient(base_url=served.url, timeout=20.0, trust_env=False) as http:
            trial = Trial(http, found)
            await trial.begin()
            for face in served.application.faces:
                for prefix in face.prefixes:
                    for route in face.routes:
                        await trial.route(face.name, prefix, route)
            await trial.end()
    ran = (ground.folder / "trace.txt").read_text("utf-8")
    ground.say(f"{found.routes} routes with {found.places} places for an id, {len(STRANGERS)} kinds of strangers")
    ground.say(f"foreign ids: {', '.join(f'{kind} {count}' for kind, count in found.kinds.items())}")
    ground.say(
        f"{found.compared} answers are those of a missing id, {found.forbidden} are the 403 that two wires document"
    )
    verdict = Verdict()
    verdict.expect(not found.faults, f"{len(found.faults)} differ, the first: {''.join(found.faults[:1])}")
    verdict.expect(found.compared > 1000 and found.forbidden > 0, "too little was compared")
    verdict.expect(not ran, f"strangers made tools run: {ran.split()}")
    return verdict


class Trial:
    """Sends the requests; `found` gets what differs."""

    def __init__(self, http: httpx2.AsyncClient, found: Found) -> None:
        self._http = http
        self._found = found
        self._owners = World()
        self._before: list[bytes] = []
        self._users = 0

    async def begin(self) -> None:
        self._owners = await self._make_world("acme.owner", SECRET)
        self._before = await self._owners_view()

    async def end(self) -> None:
        if await self._owners_view() != self._before:
            self._found.faults.append("strangers have changed what the owner sees")

    async def route(self, face: str, prefix: str, route: Route) -> None:
        """Try every place of one route that takes an id; a route without one must show nothing of the owner's."""
        self._found.routes += 1
        name = f"{route.method} {prefix}{route.path}"
        slots = TAKES.get((route.method, route.path))
        in_path = [one for one in _PATH_NAME.findall(route.path) if one not in PUBLIC_IN_PATH and one != "org"]
        if slots is None or not set(in_path) <= OWN_IN_PATH.keys():
            self._found.faults.append(f"{name} is new: say in prove/places.py which ids it takes")
            return
        if not slots and not in_path:
            for who in self._strangers():
                answer = await self._request(who, route.method, prefix + route.path, {}, {})
                self._must_not_tell(f"{name} as {who}", answer, but="")
        for place in [*in_path, *slots]:
            self._found.places += 1
            for who in self._strangers():
                await self._try(f"{name} as {who}", face, prefix, route, place, who)

    async def _try(self, name: str, face: str, prefix: str, route: Route, place: str | Slot, who: str) -> None:
        """Every kind of id of the owner's in one place, by one stranger."""
        if isinstance(place, Slot) and place.names and who.startswith("acme."):
            return
        own = await self._make_world(who, "own") if isinstance(place, Slot) else World()
        for kind, foreign in self._owners.ids().items():
            if kind in OF_TENANT and who.startswith("acme."):
                continue
            ids = foreign, foreign[:-12] + secrets.token_hex(6)
            for org in {"acme", who.partition(".")[0]} if "{org}" in route.path else {""}:
                path = (prefix + route.path).replace("{org}", org)
                answers = [await self._send(who, path, route.method, place, x, own) for x in ids]
                where = f"{name}, {kind} in {place.name if isinstance(place, Slot) else place} of {path}"
                self._compare(where, face, who, kind, ids, answers)
        await self._request(who, "DELETE", "/api/history", {}, None)  # a chat of such an id may be left

    def _compare(
        self, where: str, face: str, who: str, kind: str, ids: tuple[str, str], answers: list[httpx2.Response]
    ) -> None:
        """Both ids must be answered alike, but for the 403 that a wire documents."""
        (foreign, missing), (answer, expected) = ids, answers
        self._must_not_tell(where, answer, but=foreign)
        self._found.kinds[kind] += 1
        if _is_kais_403(face, who, kind, answer) or _is_noukais_403(face, who, kind, answer):
            self._found.forbidden += 1
        elif (told := _told(answer, foreign)) != _told(expected, missing):
            self._found.faults.append(f"{where}: {told} instead of {_told(expected, missing)}")
        else:
            self._found.compared += 1

    async def _send(self, who: str, path: str, method: str, place: str | Slot, x: str, own: World) -> httpx2.Response:
        """The route's request with `x` in one place, and the caller's own things in all others."""
        route = path
        for name in _PATH_NAME.findall(route):
            mine = PUBLIC_IN_PATH.get(name) or own.ids()[_own_in_path(route, name)]
            path = path.replace(f"{{{name}}}", x if place == name else mine or x)
        if isinstance(place, Slot):
            return await self._request(
                who, method, path, place.query(x, own), place.body(x, own), place.headers(x, own)
            )
        return await self._request(who, method, path, {}, {})

    def _strangers(self) -> Iterator[str]:
        """Users that nobody has met, so that what one leaves behind does not meet the next."""
        for pattern in STRANGERS:
            self._users += 1
            yield pattern.format(n=self._users)

    def _must_not_tell(self, where: str, answer: httpx2.Response, *, but: str) -> None:
        told = f"{answer.headers} {answer.text}"
        leaked = [value for value in (*self._owners.ids().values(), SECRET) if value != but and value in told]
        if leaked:
            self._found.faults.append(f"{where} tells {leaked}: {told[:300]}")

    async def _request(
        self,
        who: str,
        method: str,
        path: str,
        query: dict[str, str],
        body: Any,
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> httpx2.Response:
        headers = {"authorization": f"Bearer {who}", "x-request-id": "the-same", "accept": "application/json", **more}
        return await self._http.request(method, path, params=query, json=body, headers=headers)

    # ------------------------------------------------------------------ worlds

    async def _make_world(self, who: str, text: str) -> World:
        ended = await self._ask(who, f"echo: {text}", f"m-{who}-ended")
        waits = await self._ask(who, f"approve: create_bucket {text}", f"m-{who}-waits")
        asked = await self._wait_for(who, waits["id"], "tool.approval_requested")
        await self._wait_for(who, waits["id"], "run.paused")
        made = await self._wait_for(who, ended["id"], "run.completed")
        first = (await self._request(who, "GET", f"{V1}/runs/{made['run']}/events", {}, None)).json()["events"][0]
        session = f"s-{who}-{secrets.token_hex(6)}"
        flow_run, job = [await self._start(who, kind, text, session) for kind in ("runs", "jobs")]
        called = await self._wait_for(who, flow_run, "run.paused")
        queued = await self._wait_for(who, job, "run.paused")
        return World(
            thread=ended["thread"],
            waiting_thread=waits["thread"],
            run=ended["id"],
            waiting_run=waits["id"],
            call=asked["payload"]["call"],
            approval=asked["payload"]["approval"],
            message=first["payload"]["message"],
            answer=first["payload"]["answer"],
            flow_run=flow_run,
            flow_call=called["payload"]["calls"][0],
            job=job,
            job_call=queued["payload"]["calls"][0],
            session=session,
            file=await self._announce(who),
            upload=await self._upload(who, text),
            command=await self._command(who, text),
        )

    async def _upload(self, who: str, text: str) -> str:
        """A file that chats of StackSpot's wire may name."""
        asked = {"file_name": "notes.txt", "target_type": "CONTEXT", "expiration": 60}
        form = (await self._request(who, "POST", "/v2/file-upload/form", {}, asked)).json()
        sent = await self._http.post(form["url"], data=form["form"], files={"file": ("notes.txt", text.encode())})
        assert sent.status_code == 204, sent.text
        return canonical(form["id"])

    async def _command(self, who: str, text: str) -> str:
        """A quick command that has ended."""
        path = "/v1/quick-commands/create-execution/helper"
        answer = await self._request(who, "POST", path, {}, {"input_data": f"echo: {text}"})
        assert answer.status_code == 200, answer.text
        run = canonical(answer.json())
        await self._wait_for(who, run, "run.completed")
        return run

    async def _announce(self, who: str) -> str:
        """An attachment that waits for its bytes."""
        body = chatkit("attachments.create", name="notes.txt", size=3, mime_type="text/plain")
        answer = await self._request(who, "POST", "/chatkit", {}, body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    async def _start(self, who: str, kind: str, text: str, session: str) -> str:
        path = "{}/flows/{project}/{slug}/{}".format(V1, kind, **PUBLIC_IN_PATH)
        answer = await self._request(who, "POST", path, {}, {"message": text, "session": session})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def _ask(self, who: str, text: str, message: str) -> dict[str, Any]:
        answer = await self._request(who, "POST", V1 + "/runs", {}, {"message": {"id": message, "text": text}})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def _wait_for(self, who: str, run: str, kind: str) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {who}", "accept": "text/event-stream"}
        async with self._http.stream("GET", f"{V1}/runs/{run}/events", headers=headers) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: ") and f'"type":"{kind}"' in line:
                    return dict(httpx2.Response(200, content=line[6:]).json())
        raise AssertionError(f"the run ended without {kind}")

    async def _owners_view(self) -> list[bytes]:
        """All that the owner can read, as bytes."""
        own = self._owners
        paths = [f"{V1}/threads", f"{V1}/runs", "/api/history", f"/api/vote?chatId={own.thread}", "/api/settings/user"]
        for thread in (own.thread, own.waiting_thread):
            paths += [f"{V1}/threads/{thread}", f"{V1}/threads/{thread}/items", f"/api/chat/{thread}"]
        runs = (own.run, own.waiting_run, own.flow_run, own.job)
        paths += [f"{V1}/runs/{run}/{what}" for run in runs for what in ("events", "trace")]
        paths.append(f"{V1}/sessions/{own.session}")
        seen = [(await self._request("acme.owner", "GET", path, {}, None)).content for path in paths]
        bodies = [chatkit("threads.list"), chatkit("items.list", thread_id=spelt("thr", own.waiting_thread))]
        seen += [(await self._request("acme.owner", "POST", "/chatkit", {}, body)).content for body in bodies]
        command = f"/v1/quick-commands/callback/{own.command}"
        return [*seen, (await self._request("acme.owner", "GET", command, {}, None)).content]


def _is_kais_403(face: str, who: str, kind: str, answer: httpx2.Response) -> bool:
    """Another user's chat in one project: the only thing that may be told (DESIGN.md, promise 4)."""
    same_tenant, is_thread = who.startswith("acme."), kind in ("thread", "waiting_thread")
    if not (face == "kai" and same_tenant and is_thread and answer.status_code == 403):
        return False
    told: dict[str, str] = answer.json()
    return told.keys() == {"code", "message"} and told["code"].startswith("forbidden:")


def _is_noukais_403(face: str, who: str, kind: str, answer: httpx2.Response) -> bool:
    """A session that another organisation alone has: the wire's documented word for it (DESIGN.md, promise 4)."""
    if not (face == "noukai" and not who.startswith("acme.") and kind == "session" and answer.status_code == 403):
        return False
    told: dict[str, Any] = answer.json()
    return told.keys() == {"detail"} and told["detail"].keys() == {"code", "message"}


def _own_in_path(path: str, name: str) -> str:
    """What of the caller's own stands for a name of this path."""
    if name == "run" and ("/seq/" in path or path.endswith("/continue")):
        return "job" if "/jobs/" in path else "flow_run"
    return OWN_IN_PATH[name]


def _told(answer: httpx2.Response, asked: str) -> tuple[int, dict[str, str], str]:
    """What a client can see, with the id it asked for put aside; of a success also fresh ids and times."""
    headers = {name: value.replace(asked, "ID") for name, value in answer.headers.items() if name != "date"}
    text = answer.text.replace(asked, "ID")
    if answer.is_success:
        text = _FRESH.sub("FRESH", text)
        headers = {name: _FRESH.sub("FRESH", value) for name, value in headers.items() if name != "content-length"}
    return answer.status_code, headers, text
