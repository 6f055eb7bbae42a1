"""A plugin that writes down what it is told."""

from __future__ import annotations

from typing import Any

from dragoman.ai.plugins import Plugin, PluginContext


class Recorder(Plugin):
    """Appends `(name, stage)` to `log`; marks requests, answers and chunks with its name."""

    def __init__(self, name: str, log: list[tuple[str, str]], priority: int = 50) -> None:
        self._name, self._log, self._priority = name, log, priority

    @property
    def name(self) -> str:
        return self._name

    @property
    def priority(self) -> int:
        return self._priority

    def _note(self, stage: str) -> None:
        self._log.append((self._name, stage))

    async def on_init(self, ctx: PluginContext) -> None:
        self._note("init")

    async def on_shutdown(self, ctx: PluginContext) -> None:
        self._note("shutdown")

    async def on_request(self, ctx: PluginContext, request: dict[str, Any]) -> dict[str, Any]:
        self._note("request")
        return request

    async def on_response(self, ctx: PluginContext, response: dict[str, Any]) -> dict[str, Any]:
        self._note("response")
        return response

    async def on_error(self, ctx: PluginContext, error: Exception) -> Exception | None:
        self._note("error")
        return error

    async def on_stream_start(self, ctx: PluginContext) -> None:
        self._note("stream_start")

    async def on_stream_chunk(self, ctx: PluginContext, chunk: dict[str, Any]) -> dict[str, Any]:
        self._note("chunk")
        return chunk

    async def on_stream_end(self, ctx: PluginContext) -> None:
        self._note("stream_end")


class Failing(Plugin):
    """Fails wherever it is asked."""

    def __init__(self, name: str = "failing", *, critical: bool = False, error: Exception | None = None) -> None:
        self._name, self._critical = name, critical
        self._error = error or ValueError("boom sk-abcdefghijklmnop")

    @property
    def name(self) -> str:
        return self._name

    @property
    def critical(self) -> bool:
        return self._critical

    async def on_request(self, ctx: PluginContext, request: dict[str, Any]) -> dict[str, Any]:
        request.clear()
        raise self._error

    async def on_response(self, ctx: PluginContext, response: dict[str, Any]) -> dict[str, Any]:
        raise self._error

    async def on_error(self, ctx: PluginContext, error: Exception) -> Exception | None:
        raise self._error

    async def on_stream_chunk(self, ctx: PluginContext, chunk: dict[str, Any]) -> dict[str, Any]:
        raise self._error

    async def on_stream_start(self, ctx: PluginContext) -> None:
        raise self._error

    async def on_stream_end(self, ctx: PluginContext) -> None:
        raise self._error
