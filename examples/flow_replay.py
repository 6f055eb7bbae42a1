import os

from dragoman.noukai import Noukai, trace_scope_sync

URL = os.environ.get("DRAGOMAN_URL", "http://127.0.0.1:8080")
client = Noukai("nk_demo", base_url=f"{URL}/api/v1", org="demo", project="basics")


def work() -> str:
    loud = client.flow("two-step").execute("hello").result
    return client.flow("model").execute(f"echo: they said {loud}").result


with client:
    with trace_scope_sync() as scope:
        print("live:", work())

    os.environ["NOUKAI_REPLAY_ENABLED"] = "1"
    with trace_scope_sync(replay_session_id=scope.session_id, transport=client._transport):
        print("replayed:", work())
