import os

from dragoman.stackspot import STKAI, RemoteQuickCommand, RqcRequest
from dragoman.stackspot.rqc import RAW_RESULT_HANDLER

URL = os.environ.get("DRAGOMAN_URL", "http://127.0.0.1:8080")

STKAI.configure(
    auth={"client_id": "demo-you", "client_secret": "demo-secret", "token_url": f"{URL}/demo/oidc/oauth/token"},
    rqc={"base_url": URL, "poll_interval": 0.2},
)

with RemoteQuickCommand("demo", listeners=[]) as command:
    response = command.execute(RqcRequest(payload='json: {"langs": ["pt", "en"]}'))
    print(response.status, response.result)

    requests = [RqcRequest(payload=f"echo: {word}") for word in ("one", "two", "three")]
    print([response.result for response in command.execute_many(requests, RAW_RESULT_HANDLER)])
