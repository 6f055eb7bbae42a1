from collections.abc import Mapping

from dragoman import App
from dragoman.core.principal import Principal

USERS = {"sesame": "ali"}


async def authenticate(headers: Mapping[str, str]) -> Principal | None:
    user = USERS.get(headers.get("x-my-password", ""))
    return Principal(tenant="acme", user=user) if user else None


app = App("acme", authenticate=authenticate)
