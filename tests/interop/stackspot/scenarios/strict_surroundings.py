"""What the published client gets wrong in its configuration and its threads: it must fail these, and ours pass."""

from __future__ import annotations

import threading

from tests.interop.stackspot.registry import scenario
from tests.interop.stackspot.scenarios.strict_calls import FINE
from tests.interop.stackspot.service import service
from tests.interop.stackspot.stage import Visit, until

REFUSED = """
from {sdk} import STKAI, ConfigValidationError
try:
    STKAI.configure(agent={"request_timeout": -5})
    STKAI.validate()
except ValueError as error:
    print("refused" if isinstance(error, ConfigValidationError) else repr(error), STKAI.config.agent.request_timeout)
"""

SHOWN = """
from {sdk} import STKAI
STKAI.configure(auth={"client_id": "me", "client_secret": "hunter2-and-more"})
print("hunter2" in repr(STKAI) or "hunter2" in repr(STKAI.config.auth) or "hunter2" in str(STKAI.config))
"""

IMPORTED = """
try:
    from {sdk} import STKAI, ConfigEnvVarError
except ValueError:
    print("the import fails")
else:
    try:
        print(STKAI.config.agent.request_timeout, STKAI.config.rate_limit.max_wait_time)
    except ConfigEnvVarError as error:
        print(error.env_var, error.value)
"""

CLI = """
from {sdk} import Agent, STKAI, StkCLI
from {sdk}.agents import AgentOptions, ChatRequest
response = Agent("demo", options=AgentOptions(retry_max_retries=0)).chat(ChatRequest(user_prompt="hello"))
print(StkCLI.is_available(), response.result)
"""


@scenario.requirement("STK-S20", symptom="a refused value stays", blocking=True)
def a_refused_value_is_not_kept(visit: Visit) -> None:
    told = visit.script(REFUSED)
    assert told == "refused 60", f"a refused value stays: {told}"


@scenario.requirement("STK-S20", symptom="the secret is shown", blocking=True)
def a_secret_is_not_shown(visit: Visit) -> None:
    assert visit.script(SHOWN) == "False", "the secret is shown"


@scenario.requirement("STK-S20", symptom="the import fails", blocking=True)
def a_bad_variable_is_told_when_it_is_used(visit: Visit) -> None:
    for name, value in (("STKAI_AGENT_REQUEST_TIMEOUT", "soon"), ("STKAI_RATE_LIMIT_MAX_WAIT_TIME", "abc")):
        told = visit.script(IMPORTED, **{name: value})
        assert told == f"{name} {value}", told


@scenario.requirement("STK-S21", symptom="threads are left", blocking=True)
def a_closed_agent_leaves_no_thread(visit: Visit) -> None:
    before = set(threading.enumerate())
    with service(FINE) as server:
        agent = visit.agent(url=server.url, http=visit.with_headers({"Authorization": "Bearer t"}))
        assert all(response.result == "fine" for response in agent.chat_many([visit.request("x")] * 4))
        assert hasattr(agent, "close"), "threads are left"
        agent.close()
        agent.close()

    def left() -> list[str]:
        return [each.name for each in set(threading.enumerate()) - before if each.name.startswith("dragoman")]

    until(lambda: not left(), "the threads to end")


@scenario.requirement("STK-S22", symptom="any module of that name counts", blocking=True)
def another_module_of_the_name_is_not_the_cli(visit: Visit) -> None:
    place = visit.file("oscli.py", "__version__ = '1'\n").parent
    with service(FINE) as server:
        told = visit.script(
            CLI,
            place,
            STKAI_AUTH_CLIENT_ID="demo",
            STKAI_AUTH_CLIENT_SECRET="demo-secret",
            STKAI_AUTH_TOKEN_URL=f"{server.url}/demo/oidc/oauth/token",
            STKAI_AGENT_BASE_URL=server.url,
        )
    assert told == "False fine", f"any module of that name counts: {told}"
