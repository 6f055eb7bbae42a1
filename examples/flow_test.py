import asyncio

import pytest

from dragoman import App, Flow, FlowContext, RunError, StepError, model_step, step
from dragoman.testing import ScriptedModel


@step
def check(ctx: FlowContext, most: int = 20) -> str:
    if len(ctx.output) > most:
        raise StepError(f"longer than {most} characters", code="TOO_LONG")
    return ctx.output


def spelling(model: ScriptedModel) -> App:
    steps = [model_step("mend", model=model, instructions="Mend the spelling."), check]
    return App("acme", flows=[Flow("basics/spelling", steps)])


def test_the_model_mends_and_the_check_passes() -> None:
    model = ScriptedModel(["hello world"])
    assert asyncio.run(spelling(model).run("basics/spelling", "helo wrld")) == "hello world"
    assert model.requests[0].messages[-1].text == "helo wrld"


def test_a_long_answer_is_refused() -> None:
    app = spelling(ScriptedModel(["hello world"]))
    with pytest.raises(RunError) as caught:
        asyncio.run(app.run("basics/spelling", "x", overrides={"check": {"most": 5}}))
    assert caught.value.code == "TOO_LONG"
