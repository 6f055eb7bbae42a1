from collections.abc import Mapping

from own_app import add, parrot

from dragoman import Agent, App
from dragoman.core.principal import Principal

USERS = {"sesame": "ali"}


async def authenticate(headers: Mapping[str, str]) -> Principal | None:
    token = headers.get("x-storageapi-token") or headers.get("authorization", "").removeprefix("Bearer ")
    user = USERS.get(token)
    return Principal(tenant="acme", user=user) if user else None


app = App("acme", agents=[Agent("helper", model=parrot, tools=[add])], authenticate=authenticate)
