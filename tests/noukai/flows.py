"""A scripted server with a few flows and a memory: what a client captures here it can replay from here.

It is the other side of a test, not a model of the real one: it knows the wire, three kinds of steps
and nothing of keys, limits or time.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from tests.noukai.shells import BASE, CALLS, answer, frame, refusal

from dragoman.transport.scripted import Answer, Reply
from dragoman.wire.http import Request

STEPS = {"upper": str.upper, "exclaim": lambda text: text + "!", "echo": str, "grade": lambda text: f"graded: {text}"}
FLOWS = {
    "echo": ["echo"],
    "two-step": ["upper", "exclaim"],
    "weather": ["weather"],
    "broken": ["echo", "fail"],
    "grade-3": ["grade"],
}


class FlowServer:
    """Answers requests; `calls` counts the paths that ran something."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.requests: list[Request] = []
        self.runs: dict[str, dict[str, Any]] = {}
        self.sessions: dict[str, list[str]] = {}
        self.capture = True

    def __call__(self, request: Request) -> Answer:
        self.requests.append(request)
        parts = request.url.removeprefix(BASE).partition("?")[0].removeprefix("/seq/").split("/")
        body = json.loads(request.body or b"{}")
        if parts[0] == "sessions":
            return self.session(parts[1])
        org, project, slug, *rest = parts
        if rest[0].startswith("v"):
            rest = rest[1:]
        match rest:
            case ["execute"]:
                return self.execute(request, (org, project, slug), body)
            case ["step"]:
                return self.step(request, (org, project, slug), body)
            case ["jobs"]:
                run = self.begin(request, (org, project, slug), body, "job")
                self.finish(run)
                return answer({"executionId": run["id"], "status": "pending", "flowId": "f", "blockCount": 1}, 202)
            case ["jobs", id]:
                return self.job(id)
            case ["runs", id, "trace", *live]:
                return self.live(id) if live else self.trace(id)
            case ["runs", id, "steps", step_id, "trace"]:
                trace = {"stepId": step_id, "attempt": 1, "status": "completed"}
                many = "attempt=all" in request.url
                return answer({"stepId": step_id, "attempts": [trace]} if many else trace)
        return refusal(404, "FLOW_NOT_FOUND")

    def begin(self, request: Request, place: tuple[str, ...], body: dict[str, Any], trigger: str) -> dict[str, Any]:
        self.calls[trigger] += 1
        id = f"run-{len(self.runs) + 1}"
        index = request.headers.get("x-noukai-call-index")
        message = body.get("message") or (body.get("messages") or [{}])[-1].get("content", "")
        run = {"id": id, "place": place, "trigger": trigger, "value": message, "steps": [], "error": None}
        run["index"] = None if index is None else int(index)
        self.runs[id] = run
        session = request.headers.get("x-session-id")
        if session:
            self.sessions.setdefault(session, []).append(id)
        return run

    def run_step(self, run: dict[str, Any], name: str, value: str | None = None) -> bool:
        step: dict[str, Any] = {"stepId": name, "name": name, "inputSnapshot": {"message": run["value"]}}
        run["steps"].append(step)
        if name == "fail":
            run["error"] = {"code": "STEP_FAILED", "message": "it broke"}
            step["errorSnapshot"] = run["error"]
            return False
        run["value"] = value if value is not None else STEPS[name](run["value"])
        step["outputSnapshot"] = run["value"]
        return True

    def finish(self, run: dict[str, Any]) -> None:
        for name in FLOWS[run["place"][2]][len(run["steps"]) :]:
            if not self.run_step(run, name):
                return

    def result(self, run: dict[str, Any]) -> Answer:
        if run["error"]:
            return answer({"detail": {**run["error"], "executionId": run["id"]}}, 500)
        done = {"status": "completed", "result": run["value"], "executionId": run["id"], "flowId": "f"}
        return answer({**done, "blockCount": len(run["steps"])})

    def pause(self, run: dict[str, Any]) -> dict[str, Any]:
        return {
            "executionId": run["id"],
            "iterationsUsed": 1,
            "toolCallMessages": [{"role": "user", "content": run["value"]}],
            "toolCalls": CALLS,
            "accumulatedOutputs": {},
        }

    def execute(self, request: Request, place: tuple[str, ...], body: dict[str, Any]) -> Answer:
        if place[2] not in FLOWS:
            return refusal(404, "FLOW_NOT_FOUND", f"no flow {place[2]}")
        resumed = body.get("executionId")
        run = self.runs[resumed] if resumed else self.begin(request, place, body, "execute")
        if place[2] == "weather":
            if not resumed:
                paused = {"status": "tool_calls_required", "pausedAtStep": "weather", "flowId": "f", "blockCount": 1}
                return answer(paused | self.pause(run))
            self.run_step(run, "weather", self.told(body))
        self.finish(run)
        return self.result(run)

    def told(self, body: dict[str, Any]) -> str:
        last = body["toolCallMessages"][-1]
        return f"It is {last.get('content', last.get('output'))}"

    def step(self, request: Request, place: tuple[str, ...], body: dict[str, Any]) -> Answer:
        frames = []
        run = self.runs.get(body.get("executionId", ""))
        if run is None:
            run = self.begin(request, place, body, "step")
            frames.append(frame("run_started", executionId=run["id"], runId=run["id"], stepCount=len(FLOWS[place[2]])))
        ids = {"executionId": run["id"], "runId": run["id"]}
        for name in FLOWS[place[2]][body["stepIndex"] :]:
            if name == "weather" and "toolCallMessages" not in body:
                frames.append(frame("step_started", stepId=name, name=name, **ids))
                frames.append(frame("step_paused_for_tool_calls", stepId=name, stepIndex=0, **self.pause(run)))
                return Reply(frames)
            if name != "weather":
                frames.append(frame("step_started", stepId=name, name=name, **ids))
            done = self.run_step(run, name, self.told(body) if name == "weather" else None)
            if not done:
                frames.append(frame("step_error", stepId=name, name=name, error=run["error"], **ids))
                return Reply(frames)
            frames.append(frame("step_completed", stepId=name, name=name, output=run["value"], durationMs=1, **ids))
            if name != FLOWS[place[2]][-1] and not body["runRemaining"]:
                frames.append(frame("step_paused", stepId=name, **ids))
                return Reply(frames)
        frames.append(frame("flow_completed", result=run["value"], **ids))
        return Reply(frames)

    def job(self, id: str) -> Answer:
        run = self.runs.get(id)
        if run is None:
            return refusal(404, "JOB_NOT_FOUND")
        error = f"{run['error']['code']}: {run['error']['message']}" if run["error"] else None
        status = "failed" if error else "completed"
        return answer({"executionId": id, "status": status, "result": None if error else run["value"], "error": error})

    def trace(self, id: str) -> Answer:
        run = self.runs.get(id) or {"steps": [], "trigger": "execute"}
        summary = {"id": id, "flowId": "f", "status": "completed", "triggerType": run["trigger"]}
        steps = [{"stepId": step["stepId"], "attempt": 1, "status": "completed"} for step in run["steps"]]
        return answer({"flowRun": summary, "steps": steps})

    def live(self, id: str) -> Answer:
        return Reply([frame("run_started", executionId=id), frame("flow_completed", executionId=id, result="x")])

    def session(self, id: str) -> Answer:
        if id not in self.sessions:
            return refusal(404, "SESSION_NOT_FOUND")
        return answer({"sessionId": id, "executions": [self.recorded(self.runs[run]) for run in self.sessions[id]]})

    def recorded(self, run: dict[str, Any]) -> dict[str, Any]:
        org, project, slug = run["place"]
        failed = [step["stepId"] for step in run["steps"] if "errorSnapshot" in step]
        return {
            "executionId": run["id"],
            "flowId": "f",
            "slug": slug,
            "org": org,
            "project": project,
            "triggerType": run["trigger"],
            "status": "failed" if failed else "completed",
            "snapshotsAvailable": self.capture,
            "traceCaptureMode": "full" if self.capture else "off",
            "errorAtStep": failed[0] if failed else None,
            "callIndex": run["index"],
            "steps": run["steps"] if self.capture else [],
        }
