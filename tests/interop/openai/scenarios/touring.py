"""The list of what can be asked."""

from __future__ import annotations

from tests.interop.openai.registry import DEMO, FAMILIES, GATEWAY, scenario
from tests.interop.openai.stage import Visit, raised


@scenario.at(DEMO)
def the_demos_models_are_listed(visit: Visit) -> None:
    names = [model.id for model in visit.client.models.list()]
    assert {"demo", "demo-embed", "agent/demo"} <= set(names)
    for name in ("demo", "agent/demo", "demo-embed"):
        model = visit.client.models.retrieve(name)
        assert (model.id, model.object) == (name, "model")


@scenario.at(GATEWAY)
def the_gateways_models_are_listed(visit: Visit) -> None:
    names = {model.id for model in visit.client.models.list()}
    assert {*FAMILIES, "near", "agent/helper"} <= names
    assert visit.client.models.retrieve("anthropic").id == "anthropic"


@scenario.at(DEMO, GATEWAY)
def a_model_that_is_not_there_cannot_be_retrieved(visit: Visit) -> None:
    error = raised(lambda: visit.client.models.retrieve("nobody"), visit.sdk.NotFoundError)
    assert error.code == "model_not_found"
