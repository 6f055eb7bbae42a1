"""A transform that shows the tool call so far beside each piece of one.

Pipelines of manifests put calls together while they make events; this is for those who work on
frames. Each frame it marks holds the whole text so far, by its documented form: for long arguments
read events instead, whose cost per piece does not grow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from dragoman.ai.pipeline.assembler import Assembler, Call
from dragoman.ai.pipeline.frames import Frame
from dragoman.ai.pipeline.reading import Fragment, id_of, index_of, text_of
from dragoman.ai.pipeline.transform import Transform
from dragoman.ai.protocol.expressions import Scope, compile_path

__all__ = ["ToolCallAccumulator", "create_accumulator"]

_CALL: Final = "$.choices[*].delta.tool_calls[*]"
_ADDED: Final = "_accumulated_tool_call"


class ToolCallAccumulator(Transform):
    """Adds `_accumulated_tool_call` to frames with a piece of a call: index, id, name, arguments, is_complete.

    A frame with pieces of several calls shows the last one; `get_accumulated(index)` gives any.
    """

    def __init__(
        self,
        tool_call_id_path: str = f"{_CALL}.id",
        tool_name_path: str = f"{_CALL}.function.name",
        arguments_path: str = f"{_CALL}.function.arguments",
        index_path: str = f"{_CALL}.index",
    ) -> None:
        self.paths = (tool_call_id_path, tool_name_path, arguments_path, index_path)
        compiled = [compile_path(path) for path in self.paths]
        self._scope = Scope.of(path.steps for path in compiled)
        self._readers = [path.value_in(self._scope) for path in compiled]
        self.reset()

    def fresh(self) -> ToolCallAccumulator:
        return ToolCallAccumulator(*self.paths)

    def reset(self) -> None:
        """Forget all calls."""
        self._assembler = Assembler()

    def feed(self, frame: Frame) -> list[Frame]:
        call: Call | None = None
        for env in self._scope.envs(frame):
            id_, name, arguments, index = (reader(env) for reader in self._readers)
            fragment = Fragment(0, index_of(index), id_of(id_), text_of(name))
            fragment.read_arguments(arguments)
            if fragment.name is None and arguments is None:
                continue
            self._assembler.add(fragment, [])
            call = self._assembler.last
        if call is None:
            return [frame]
        return [{**frame, _ADDED: {**_shown(call), "is_complete": call.is_complete}}]

    def get_accumulated(self, index: int = 0) -> dict[str, Any] | None:
        """The call of this index so far; without indexes, the n-th that was opened."""
        call = self._assembler.by_index.get(index)
        if call is None and not self._assembler.by_index and 0 <= index < len(self._assembler.calls):
            call = self._assembler.calls[index]
        return None if call is None else _shown(call)


def _shown(call: Call) -> dict[str, Any]:
    index = 0 if call.index is None else call.index
    return {"index": index, "id": call.id, "name": call.name, "arguments": call.text()}


def create_accumulator(config: Any) -> ToolCallAccumulator | None:
    """The accumulator that `streaming.accumulator` asks for; None without `stateful_tool_parsing`.

    `key_path` says where arguments are; id, name and index are looked for beside them.
    """

    def said(name: str) -> Any:
        return config.get(name) if isinstance(config, Mapping) else getattr(config, name, None)

    if config is None or not said("stateful_tool_parsing"):
        return None
    path = said("key_path")
    if not isinstance(path, str) or not path:
        return ToolCallAccumulator()
    if path.endswith(".function.arguments"):
        base = path.removesuffix(".function.arguments")
        return ToolCallAccumulator(f"{base}.id", f"{base}.function.name", path, f"{base}.index")
    if path.endswith(".partial_json"):
        return ToolCallAccumulator("$.content_block.id", "$.content_block.name", path, "$.index")
    base = path.rpartition(".")[0] or "$"
    return ToolCallAccumulator(f"{base}.id", f"{base}.name", path, f"{base}.index")
