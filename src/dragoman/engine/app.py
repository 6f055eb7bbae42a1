"""The app: what a user serves."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from dragoman.core.errors import UsageError
from dragoman.core.flows import FlowInfo, encode_node
from dragoman.engine.agents import Agent, ModelLike
from dragoman.engine.embedders import EmbedderLike, as_embedder
from dragoman.engine.flows.authoring import Flow, walk
from dragoman.engine.flows.declared import AgentStep, ModelStep, model_name, source
from dragoman.engine.knowledge import KnowledgeLike


class App:
    """Agents and flows under one name, with the callables and settings that belong to them.

    `models` gives names to models, so that agents can name them; they win over `provider/model`.
    `embeddings` gives names to embedding models: objects with `embed`, or async functions of texts. `authenticate` takes the request's
    headers (lower-case names) and gives a `Principal` or None. `suggestions` takes
    `(context, data, principal)` and gives suggestions as the Kai face documents them. Both may be
    async. `chatkit` puts a user's own `ChatKitServer` behind `/chatkit`: an instance, or a class or callable that gets
    `(store, attachment_store)` of the server and gives one; without it the agents answer there. `knowledge` searches in
    place of the server's own lexical search: a `core.ports.Knowledge`, or an async function of `(tenant, sources, query,
    limit)` that gives passages. `settings` are defaults that configuration files, environment and command line
    override. `version` names the code in every run; without it, it is computed from the
    definitions, so that it changes when they do. Nothing is started or checked against the
    outside here; `dragoman serve` does that.
    """

    def __init__(
        self,
        name: str,
        *,
        agents: Sequence[Agent] = (),
        flows: Sequence[Flow] = (),
        models: Mapping[str, ModelLike] | None = None,
        embeddings: Mapping[str, EmbedderLike] | None = None,
        settings: Mapping[str, Any] | None = None,
        authenticate: Callable[..., Any] | None = None,
        suggestions: Callable[..., Any] | None = None,
        chatkit: Any = None,
        knowledge: KnowledgeLike | None = None,
        version: str | None = None,
    ) -> None:
        if chatkit is not None and not (callable(chatkit) or hasattr(chatkit, "process")):
            raise UsageError(
                f"chatkit= must be a ChatKitServer, or a class or callable that makes one, not {type(chatkit).__name__}"
            )
        _refuse_twice(name, "agents", [agent.name for agent in agents])
        _refuse_twice(name, "flows", [flow.name for flow in flows])
        self.name = name
        self.agents = tuple(agents)
        self.flows = tuple(flow.bound({agent.name: agent for agent in agents}) for flow in flows)
        self.models = dict(models or {})
        self.embedders = {name: as_embedder(one) for name, one in (embeddings or {}).items()}
        self.settings = dict(settings or {})
        self.authenticate = authenticate
        self.suggestions = suggestions
        self.chatkit = chatkit
        self.knowledge = knowledge
        self.version = version if version is not None else _version(self.agents, self.flows)
        self._infos = {flow.name: self._info(flow) for flow in self.flows}

    def __repr__(self) -> str:
        flows = f", flows={[flow.name for flow in self.flows]}" if self.flows else ""
        return f"App({self.name!r}, agents={[agent.name for agent in self.agents]}{flows})"

    @property
    def knowledge_sources(self) -> tuple[str, ...]:
        """The names of all sources that an agent is bound to."""
        return tuple(dict.fromkeys(name for agent in self.agents for name in agent.knowledge))

    def agent(self, name: str) -> Agent | None:
        """The agent of this name."""
        return next((agent for agent in self.agents if agent.name == name), None)

    def flow(self, name: str) -> Flow | None:
        """The flow of this name."""
        return next((flow for flow in self.flows if flow.name == name), None)

    def flow_info(self, name: str) -> FlowInfo | None:
        """What faces may tell about a flow."""
        return self._infos.get(name)

    def _info(self, flow: Flow) -> FlowInfo:
        digest = hashlib.sha256(f"{self.name}\0{flow.name}".encode()).hexdigest()[:12]
        return FlowInfo(
            flow.name,
            f"f_{digest}",
            flow.nodes,
            flow.production,
            flow.description,
            flow.requires_message,
            flow.capture,
        )

    def named_models(self) -> Iterator[tuple[str, str, ModelLike]]:
        """All models that are named, and by whom: `agent` or `flow`, and its name."""
        for agent in self.agents:
            yield "agent", agent.name, agent.model
            if agent.reasoning_model is not agent.model:
                yield "agent", agent.name, agent.reasoning_model
        for flow in self.flows:
            for steps in flow.versions.values():
                for step in walk(steps):
                    if isinstance(step, ModelStep):
                        yield "flow", flow.name, step.model
                    elif isinstance(step, AgentStep) and isinstance(step.agent, Agent):
                        yield "flow", flow.name, step.agent.model

    def _all_agents(self) -> Iterator[Agent]:
        """The agents of steps first, so that the app's own win where one has the name of another."""
        for flow in self.flows:
            for steps in flow.versions.values():
                yield from (
                    one.agent for one in walk(steps) if isinstance(one, AgentStep) and isinstance(one.agent, Agent)
                )
        yield from self.agents

    def definitions(self) -> dict[str, Any]:
        """Agents and flows as they are defined now, as JSON: kept once per version, so that replay can compare."""
        return {
            "app": self.name,
            "version": self.version,
            "agents": {agent.name: _agent_definition(agent) for agent in self._all_agents()},
            "flows": {
                flow.name: {str(number): [encode_node(node) for node in nodes] for number, nodes in flow.nodes.items()}
                for flow in self.flows
            },
        }

    async def run(
        self,
        flow: str | Flow,
        message: str | None = None,
        *,
        models: Mapping[str, ModelLike] | None = None,
        parameters: Mapping[str, Any] | None = None,
        attachments: Sequence[Mapping[str, Any]] = (),
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
        version: int | None = None,
        tools: Mapping[str, Callable[..., Any]] | None = None,
    ) -> Any:
        """Run one of the flows here, without server and store, and give its result.

        `models` add to the app's own and win over them; `tools` are the caller's tools by name. `overrides` are by
        step id. Raises RunFailed with the `code` of the step that failed, and UsageError or
        BadRequest for a call that does not fit the flow.
        """
        from dragoman.engine.alone import run_alone  # it needs the engine, which needs the app

        name = flow if isinstance(flow, str) else flow.name
        return await run_alone(
            self,
            name,
            message,
            models=models or {},
            parameters=parameters or {},
            attachments=attachments,
            overrides=overrides or {},
            version=version,
            tools=tools or {},
        )


def _refuse_twice(app: str, what: str, names: Sequence[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"app {app!r} has two {what} named {twice[0]!r}")


def _agent_definition(agent: Agent) -> dict[str, Any]:
    return {
        "model": model_name(agent.model),
        "instructions": agent.instructions,
        "options": dict(agent.options),
        **({"knowledge": list(agent.knowledge)} if agent.knowledge else {}),
        "tools": {
            name: {
                "spec": {
                    "name": made.spec.name,
                    "description": made.spec.description,
                    "parameters": made.spec.parameters,
                },
                "read_only": made.read_only,
                "digest": hashlib.sha256(source(made.function).encode("utf-8", "replace")).hexdigest()[:12],
            }
            for name, made in agent.tools.items()
        },
    }


def _kind(model: ModelLike) -> str:
    return model if isinstance(model, str) else repr(type(model))


def _version(agents: Sequence[Agent], flows: Sequence[Flow]) -> str:
    digest = hashlib.sha256()
    for agent in agents:
        digest.update(
            repr((agent.name, agent.instructions, sorted(agent.options.items()), _kind(agent.model))).encode()
        )
        if agent.knowledge:
            digest.update(repr(agent.knowledge).encode())
        for made in agent.tools.values():
            digest.update(repr((made.spec, made.read_only, made.idempotent, made.needs_approval)).encode())
            digest.update(source(made.function).encode("utf-8", "replace"))
    for flow in flows:
        digest.update(repr((flow.name, sorted(flow.nodes.items()), flow.production)).encode("utf-8", "replace"))
    return digest.hexdigest()[:12]
