"""Decisions reach the call that they name, in the thread that they name, and no other."""

import pytest
from tests.engine.world import World, pending_call

from dragoman.core.errors import NotFound
from dragoman.core.turns import Decision


@pytest.mark.requirement("CORE-04")
async def test_an_approval_of_another_thread_of_the_owner_is_not_found(world: World) -> None:
    started, call = await pending_call(world)
    await world.until(await world.ask("hello", thread_id="other"))
    [approval] = await world.store.approvals(started.run.id)
    for decision in (Decision(approval=approval.id), Decision(call=call)):
        with pytest.raises(NotFound):
            await world.engine.decide("t", "ann", "other", [decision])
    assert world.ran == []
    assert (await world.engine.decide("t", "ann", "k", [Decision(approval=approval.id)])).outcome == "accepted"
