import os
import tempfile
from pathlib import Path

from dragoman.stackspot import (
    STKAI,
    Agent,
    ChatRequest,
    FileUploader,
    FileUploadRequest,
    FileUploadTargetType,
)

URL = os.environ.get("DRAGOMAN_URL", "http://127.0.0.1:8080")

STKAI.configure(
    auth={"client_id": "demo-you", "client_secret": "demo-secret", "token_url": f"{URL}/demo/oidc/oauth/token"},
    agent={"base_url": URL},
    file_upload={"base_url": URL},
)

with tempfile.TemporaryDirectory() as folder, FileUploader() as uploader, Agent("demo") as agent:
    handbook = Path(folder, "handbook.md")
    handbook.write_text("# Holidays\n\nEverybody has thirty days.\n", encoding="utf-8")
    target = {"target_type": FileUploadTargetType.KNOWLEDGE_SOURCE, "target_id": "demo-ks"}
    print(uploader.upload(FileUploadRequest(file_path=handbook, **target)).status)

    request = ChatRequest(user_prompt="echo: how many days?", return_knowledge_sources=True)
    print(agent.chat(request).knowledge_sources)
