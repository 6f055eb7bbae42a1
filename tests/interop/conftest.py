"""Users of the demo server: raw ones, and the processes in which published clients play their scenarios."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.interop.playing import Client, Page, Theatre, performed
from tests.interop.wire import Wire, user_token


@pytest.fixture(scope="session")
def theatre(
    request: pytest.FixtureRequest, demo_server: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Theatre]:
    """The Python clients of the tests that were chosen, playing their scenarios."""
    scratch: Path = tmp_path_factory.mktemp("interop")
    command = partial(Client.command, url=demo_server.url, scratch=scratch)
    with performed(Client, request.session.items, scratch, command) as theatre:
        yield theatre


@pytest.fixture(scope="session")
def browsers(
    request: pytest.FixtureRequest,
    demo_server: Any,
    node_environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Theatre]:
    """The pages of the tests that were chosen, playing their scenarios."""
    scratch: Path = tmp_path_factory.mktemp("browsers")
    command = partial(Page.command, url=demo_server.url, environment=node_environment)
    with performed(Page, request.session.items, scratch, command) as theatre:
        yield theatre


@pytest.fixture
def user(demo_server: Any) -> Wire:
    """Raw requests of a new user."""
    return Wire(demo_server.url, user_token())


@pytest.fixture
def page(demo_server: Any) -> Wire:
    """Raw requests of a new user, as a browser's page sends them."""
    return Wire(demo_server.url, user_token(), browser=True)
