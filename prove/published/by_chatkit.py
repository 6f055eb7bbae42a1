"""ChatKit's wire, read with the published types: each DOING is a message, or `yes` for a click on what is asked; prints the items.

There is no published client of this wire for Python; what makes a page of it are these types. Each event and
each item must be one of them, and must say the same when it is written again.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from typing import Any
from urllib import request
from urllib.error import HTTPError

types: Any = importlib.import_module("chatkit.types")
pydantic: Any = importlib.import_module("pydantic")

EVENT = pydantic.TypeAdapter(types.ThreadStreamEvent)
PAGE = pydantic.TypeAdapter(types.Page[types.ThreadItem])
APPROVE = "approval.approve"


class Wire:
    def __init__(self, url: str, user: str, thread: str) -> None:
        self._url, self._user, self._thread = url, user, f"thr_{thread.replace('-', '')}"

    def say(self, text: str) -> None:
        content = [{"type": "input_text", "text": text}]
        message = {"content": content, "attachments": [], "inference_options": {}}
        self._stream("threads.add_user_message", input=message)

    def approve(self) -> None:
        waiting = [(item, found) for item in self.items() for found in _actions(item) if found["type"] == APPROVE]
        ((card, action),) = waiting
        self._stream(
            "threads.custom_action", item_id=card["id"], action={"type": APPROVE, "payload": action["payload"]}
        )

    def items(self) -> list[dict[str, Any]]:
        body = self._post("items.list", order="asc", limit=100)
        return list(_checked(PAGE, body)["data"])

    def _stream(self, op: str, **params: Any) -> None:
        lines = self._post(op, **params).decode().splitlines()
        events = [_checked(EVENT, line[6:]) for line in lines if line.startswith("data: ")]
        failed = [event for event in events if event["type"] == "error"]
        if failed or not events:
            raise SystemExit(f"{op}: {failed or 'no events'}")

    def _post(self, op: str, **params: Any) -> bytes:
        body = json.dumps({"type": op, "params": {"thread_id": self._thread, **params}}).encode()
        headers = {"authorization": f"Bearer {self._user}", "content-type": "application/json"}
        asked = request.Request(f"{self._url}/chatkit", body, headers)
        direct = request.build_opener(request.ProxyHandler({}))
        try:
            with direct.open(asked, timeout=20) as answer:
                return bytes(answer.read())
        except HTTPError as error:
            raise SystemExit(f"{op} was answered with {error.code}: {error.read().decode()[:200]}") from None


def _checked(kind: Any, text: str | bytes) -> dict[str, Any]:
    """The document, after the published types have read it and written the same."""
    told = json.loads(text)
    written = json.loads(kind.dump_json(kind.validate_json(text), by_alias=True, exclude_none=True))
    if _plain(written) != _plain(told):
        raise SystemExit(f"the published types read {json.dumps(told)[:400]} as {json.dumps(written)[:400]}")
    return dict(told)


def _plain(value: Any) -> Any:
    """Without nulls and without what those types fill in, times to the second."""
    if isinstance(value, dict):
        return {
            k: _plain(v)[:19] if k == "created_at" else _plain(v) for k, v in value.items() if v not in (None, {}, [])
        }
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _actions(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if isinstance(action := value.get("onClickAction"), dict):
            yield action
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _actions(inner)


def _entry(item: dict[str, Any]) -> list[str]:
    """(what, text): who spoke, or which tool was used, shown as a workflow or as a card."""
    text = "".join(part.get("text", "") for part in item.get("content") or ())
    match item["type"]:
        case "user_message":
            return ["user", text]
        case "assistant_message":
            return ["assistant", text]
        case "workflow":
            return ["tool", item["workflow"]["tasks"][0]["title"]]
        case "widget":
            return ["tool", next(_titles(item["widget"]))]
        case other:
            return [other, ""]


def _titles(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if value.get("type") == "Title":
            yield str(value["value"])
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _titles(inner)


def main(url: str, user: str, thread: str, *doings: str) -> None:
    wire = Wire(url, user, thread)
    for doing in doings:
        if doing == "yes":
            wire.approve()
        else:
            wire.say(doing)
    items = wire.items()
    users = [item["id"] for item in items if item["type"] == "user_message"]
    print(json.dumps({"seen": [_entry(item) for item in items], "users": users}))


if __name__ == "__main__":
    main(*sys.argv[1:])
