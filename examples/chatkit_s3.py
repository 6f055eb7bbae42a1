from dragoman.chatkit.asgi import chatkit_app
from dragoman.server.chatkit.attachments import S3AttachmentStore
from dragoman.server.chatkit.responder import ModelChatKitServer
from dragoman.server.chatkit.stores import SQLiteStore
from dragoman.testing import ScriptedModel

store = SQLiteStore("chatkit.db")
files = S3AttachmentStore("s3://acme-uploads/chatkit", store=store, config={"region": "eu-central-1"})
server = ModelChatKitServer(store, model=ScriptedModel(), attachment_store=files)
app = chatkit_app(server, context=lambda request: request.headers.get("x-user", "guest"))
