import os
import tempfile
from pathlib import Path

from dragoman.stackspot import STKAI, Agent, ChatRequest, FileUploader, FileUploadRequest

URL = os.environ.get("DRAGOMAN_URL", "http://127.0.0.1:8080")

STKAI.configure(
    auth={"client_id": "demo-you", "client_secret": "demo-secret", "token_url": f"{URL}/demo/oidc/oauth/token"},
    agent={"base_url": URL},
    file_upload={"base_url": URL},
)

with tempfile.TemporaryDirectory() as folder, FileUploader() as uploader, Agent("demo") as agent:
    paths = [Path(folder, name) for name in ("plan.txt", "budget.csv")]
    for path in paths:
        path.write_text("rows and rows\n", encoding="utf-8")

    uploads = uploader.upload_many([FileUploadRequest(file_path=path) for path in paths])
    for upload in uploads:
        print(upload.status, upload.request.file_name)

    request = ChatRequest(user_prompt="files", upload_ids=[upload.upload_id for upload in uploads])
    print(agent.chat(request).result)
