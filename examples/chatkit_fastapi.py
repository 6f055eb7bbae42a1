from chatkit_first import server
from fastapi import FastAPI, Request

from dragoman.chatkit.asgi import JSONResponse, StreamingResponse  # was: from fastapi.responses import …

app = FastAPI()


@app.post("/chatkit")
async def chatkit(request: Request):
    result = await server.process(await request.body(), {"user_id": "ana"})
    if hasattr(result, "json_events"):
        return StreamingResponse(result.json_events, media_type="text/event-stream")
    return JSONResponse(result.json)
