"""Clients of a scripted provider; see `tests.ai.client.acme`."""

from tests.ai.client.conftest import client_of, key  # noqa: F401  # fixtures
