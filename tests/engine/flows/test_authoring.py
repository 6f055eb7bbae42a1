"""What users may write, and what they are told when it is wrong."""

import functools
from typing import Any

import pytest

from dragoman.core.errors import UsageError
from dragoman.core.flows import Node, decode_node, encode_node
from dragoman.core.messages import ModelRequest
from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.engine.embedded import EmbeddedEngine
from dragoman.engine.flows.authoring import Flow, agent_step, client_tool, flow, loop, model_step, step, when
from dragoman.engine.flows.context import FlowContext


def one(ctx: FlowContext) -> int:
    return 1


async def model(request: ModelRequest) -> Any:
    yield "ok"


def test_steps_alone_are_version_1_production_and_draft() -> None:
    made = Flow("p/f", [one])
    assert (sorted(made.versions), made.production) == ([0, 1], 1)
    assert made.nodes[0] == made.nodes[1]
    assert [node.id for node in made.nodes[1]] == ["one"]
    assert (made.requires_message, made.max_rounds, repr(made)) == (True, 25, "Flow('p/f')")


def test_versions_without_production_publish_the_highest() -> None:
    made = Flow("p/f", versions={1: [one], 7: [step(one, id="x")]})
    assert (made.production, [node.id for node in made.nodes[0]]) == (7, ["x"])
    assert Flow("p/f", draft=[one]).production is None


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Flow("p/f", []), "has no steps"),
        (lambda: Flow("p/f"), "has no steps"),
        (lambda: Flow("p/f", versions={1: []}), "has no steps"),
        (lambda: Flow("f", [one]), "project/slug"),
        (lambda: Flow("a/b/c", [one]), "project/slug"),
        (lambda: Flow("../b", [one]), "project/slug"),
        (lambda: Flow("a/" + "x" * 65, [one]), "project/slug"),
        (lambda: Flow("a/ü", [one]), "project/slug"),
        (lambda: Flow("p/f", [one, one]), "two steps of the draft|two steps of version 1"),
        (lambda: Flow("p/f", [one, loop("l", [one], times=1)]), "the id 'one'"),
        (lambda: Flow("p/f", [one], versions={1: [one]}), "steps and versions"),
        (lambda: Flow("p/f", versions={1: [one]}, production=2), "production=2"),
        (lambda: Flow("p/f", versions={0: [one]}), "from 1 on"),
        (lambda: Flow("p/f", versions={True: [one]}), "from 1 on"),
        (lambda: Flow("p/f", [one], capture="some"), "capture is one of"),  # type: ignore[arg-type]  # that is the test
        (lambda: Flow("p/f", [one], max_seconds=0), "max_seconds"),
        (lambda: Flow("p/f", [5]), "a step is a function"),  # type: ignore[list-item]  # that is the test
        (lambda: Flow("p/f", [Flow("p/g", [one])]), "cannot be a flow"),  # type: ignore[list-item]  # that is the test
        (lambda: step(lambda ctx: 1), "name= or id="),
        (lambda: step(one, id="a b"), "letters"),
        (lambda: step(one, retries=-1), "retries"),
        (lambda: step(one, timeout=0), "timeout"),
        (lambda: step(one, backoff=-1), "backoff"),
        (lambda: step(lambda: 1, name="s"), "context first"),
        (lambda: step(lambda ctx, a: 1, name="s"), "needs a default"),
        (lambda: step(lambda ctx, *a: 1, name="s"), "must be a keyword"),
        (lambda: step(lambda ctx, a=one: 1, name="s"), "default of 'a' is no JSON"),
        (lambda: loop("l", [one]), "has no end"),
        (lambda: loop("l", [], times=1), "no steps"),
        (lambda: loop("l", [one], times=1, over=one), "number of elements"),
        (lambda: loop("l", [one], times=1001), "from 0 to most"),
        (lambda: loop("l", [one], times=True), "from 0 to most"),
        (lambda: loop("l", [one], times=1, most=0), "most is 1"),
        (lambda: when("w", one, []), "no steps"),
        (lambda: when("w", True, [one]), "function of the context"),  # type: ignore[arg-type]  # that is the test
        (lambda: model_step("m", model=model, output="xml"), "'text' or 'json'"),  # type: ignore[arg-type]  # that is the test
        (lambda: App("t", flows=[Flow("p/f", [one]), Flow("p/f", [one])]), "two flows named 'p/f'"),
        (lambda: App("t", flows=[Flow("p/f", [agent_step("a", "nobody")])]), "names agent 'nobody'"),
    ],
)
def test_mistakes_are_told_where_they_are_written(make: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        make()


def test_a_model_that_nobody_knows_is_refused_when_the_engine_is_made() -> None:
    app = App("t", flows=[Flow("p/f", [model_step("m", model="no/such")])])
    with pytest.raises(UsageError, match="no/such"):
        EmbeddedEngine(app, None)  # type: ignore[arg-type]  # it is not looked at
    assert {(kind, name) for kind, name, _ in app.named_models()} == {("flow", "p/f")}


def test_a_flow_is_data() -> None:
    made = Flow(
        "p/f",
        [
            step(lambda ctx, suffix="!", **more: 1, name="say it".replace(" ", "-"), id="say"),
            loop("each", [client_tool("ask", tool="get")], over=lambda ctx: []),
            when("if", lambda ctx: True, [model_step("m", model=model, instructions="x", top=1)], [one]),
        ],
    )
    say, each, branch = made.nodes[1]
    assert (say.id, say.name, say.kind, say.config, say.open) == ("say", "say-it", "function", {"suffix": "!"}, True)
    assert (each.kind, [node.id for node in each.children]) == ("loop", ["ask"])
    assert (branch.kind, [n.id for n in branch.children], [n.id for n in branch.otherwise]) == ("when", ["m"], ["one"])
    assert branch.children[0].model == "model"
    assert branch.children[0].config == {"instructions": "x", "top": 1}
    assert tuple(decode_node(encode_node(node)) for node in made.nodes[1]) == made.nodes[1]
    assert all(isinstance(node, Node) and node.digest for node in made.nodes[1])


def test_a_change_of_code_changes_the_digest_and_the_version_of_the_app() -> None:
    def make(text: str) -> App:
        return App("t", flows=[Flow("p/f", [model_step("m", model=model, instructions=text)])])

    first, again, other = make("a"), make("a"), make("b")
    assert first.version == again.version != other.version
    assert first.flows[0].nodes[1][0].digest != other.flows[0].nodes[1][0].digest


def test_agents_of_steps_may_be_named_anywhere_in_the_tree() -> None:
    helper = Agent("helper", model=model)
    named = Flow("p/f", [loop("l", [when("w", one, [agent_step("a", "helper")])], times=1)])
    app = App("t", agents=[helper], flows=[named])
    bound = app.flows[0].steps(1)["a"]
    assert bound.model_name == "model"
    assert named.steps(1)["a"].model_name is None, "the flow itself may be used in another app"


def test_decorators_take_marks_or_none() -> None:
    @step
    def bare(ctx: FlowContext) -> int:
        """Says five."""
        return 5

    @step(name="other", retries=3, timeout=2)
    def marked(ctx: FlowContext) -> int:
        return 6

    @flow("p/f", description="D", retries=2)
    def whole(ctx: FlowContext) -> int:
        return 7

    assert (bare.id, bare(FlowContext()), bare.__doc__) == ("bare", 5, "Says five.")
    assert (marked.id, marked.retries, marked.timeout) == ("other", 3, 2)
    assert (whole.name, whole.description, [node.id for node in whole.nodes[1]]) == ("p/f", "D", ["whole"])
    assert step(bare, id="again").id == "again"


def test_functions_of_all_kinds_are_steps() -> None:
    class Callable_:
        __name__ = "called"

        def __call__(self, ctx: FlowContext, n: int = 1) -> int:
            return n

    partial = functools.partial(lambda ctx, a=1, b=2: a + b, b=3)
    assert step(Callable_()).config == {"n": 1}
    assert step(partial, name="p").config == {"a": 1, "b": 3}


def test_definitions_are_json() -> None:
    app = App("t", agents=[Agent("helper", model=model, instructions="x")], flows=[Flow("p/f", [one])])
    told = app.definitions()
    assert told["agents"]["helper"] == {"model": "model", "instructions": "x", "options": {}, "tools": {}}
    assert [node["id"] for node in told["flows"]["p/f"]["1"]] == ["one"]
