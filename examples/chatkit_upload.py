import os
import secrets

from dragoman.chatkit.asgi import chatkit_app
from dragoman.server.chatkit.attachments import DiskAttachmentStore
from dragoman.server.chatkit.responder import ModelChatKitServer
from dragoman.server.chatkit.stores import SQLiteStore
from dragoman.testing import ScriptedModel

store = SQLiteStore("chatkit.db")
files = DiskAttachmentStore(
    "uploads",
    secret=os.environ.get("UPLOAD_SECRET") or secrets.token_bytes(32),
    base_url="http://127.0.0.1:8000/chatkit",
    store=store,
    max_bytes=10_000_000,
    types=["image/*", "text/plain", "application/pdf"],
)
server = ModelChatKitServer(store, model=ScriptedModel(), attachment_store=files)
app = chatkit_app(server, context=lambda request: request.headers.get("x-user", "guest"))
