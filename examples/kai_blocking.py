import os

from dragoman.kai import KaiClientSync

URL = os.environ.get("DRAGOMAN_URL", "http://127.0.0.1:8080")

with KaiClientSync("demo-you", URL, base_url=URL) as client:
    chat_id, answer = client.chat("echo: no loop needed")
    print(answer)
    client.delete_chat(chat_id)
