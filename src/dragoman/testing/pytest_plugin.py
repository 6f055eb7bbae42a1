"""Recorded sessions as tests: the fixture `dragoman_replay`.

    def test_the_tour_gives_what_it_gave(dragoman_replay):
        dragoman_replay("tour.cassette.json", "app:app")

pytest loads this module at every start, so it imports nothing of Dragoman until a test uses the fixture.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from dragoman.testing.replaying import Replay


@pytest.fixture
def dragoman_replay(request: pytest.FixtureRequest) -> Callable[[str | Path, Any], Replay]:
    """`dragoman_replay(cassette, app)` replays a cassette and fails the test if anything comes out otherwise.

    `cassette` is a file, found from the test's own folder; `app` is an `App`, or `"module:app"`. What is
    returned tells the runs one by one. Nothing is sent: models and writing tools answer from the recording.
    """
    __tracebackhide__ = True
    from dragoman.core.errors import UsageError
    from dragoman.testing.cassette import Cassette
    from dragoman.testing.replaying import find_app, replay_blocking

    folder = request.path.parent

    def run(cassette: str | Path, app: Any = "app:app") -> Replay:
        __tracebackhide__ = True
        try:
            found = replay_blocking(Cassette.load(folder / cassette), find_app(app) if isinstance(app, str) else app)
        except UsageError as error:
            pytest.fail(str(error), pytrace=False)
        if found.differences:
            count = len(found.differences)
            title = f"{cassette}: {count} difference{'s' if count > 1 else ''} between then (-) and now (+)"
            pytest.fail("\n".join((title, found.told(), *found.remarks)), pytrace=False)
        return found

    return run
