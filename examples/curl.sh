# the own face of Dragoman: ask, and read the events of the run as they come
curl -sN http://127.0.0.1:8080/dragoman/v1/runs -H 'authorization: Bearer demo-you' \
  -H 'accept: text/event-stream' -H 'content-type: application/json' -d '{"message": {"text": "tool: add 2 3"}}'

# ask, go away, and read the events behind the third one later
run=$(curl -si http://127.0.0.1:8080/dragoman/v1/runs -H 'authorization: Bearer demo-you' \
  -H 'content-type: application/json' -d '{"message": {"text": "count: 5"}}' | tr -d '\r' | sed -n 's/^x-dragoman-run: //p')
curl -sN "http://127.0.0.1:8080/dragoman/v1/runs/$run/events" -H 'authorization: Bearer demo-you' -H 'last-event-id: 3'

# ChatKit: one event per line, for chats in web pages
curl -sN http://127.0.0.1:8080/chatkit -H 'authorization: Bearer demo-you' -H 'content-type: application/json' \
  -d '{"type": "threads.create", "params": {"input": {"content": [{"type": "input_text", "text": "tool: add 2 3"}]}}}'

# OpenAI: what the openai package speaks; "demo" is a model, "agent/demo" the agent with its tools
curl -sN http://127.0.0.1:8080/v1/chat/completions -H 'authorization: Bearer demo-you' -H 'content-type: application/json' \
  -d '{"model": "agent/demo", "messages": [{"role": "user", "content": "tool: add 2 3"}], "stream": true}'

# Kai: the UI message stream that kai-client and useChat read
curl -sN http://127.0.0.1:8080/api/chat -H 'x-storageapi-token: demo-you' -H 'content-type: application/json' \
  -d '{"id": "my-first-chat", "message": {"id": "my-first-message", "role": "user",
       "parts": [{"type": "text", "text": "echo: hello"}]}}'

curl -s http://127.0.0.1:8080/api/chat/my-first-chat -H 'x-storageapi-token: demo-you'
