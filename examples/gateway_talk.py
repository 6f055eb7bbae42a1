import os

import openai

client = openai.OpenAI(
    base_url=os.environ.get("DRAGOMAN_URL", "http://127.0.0.1:8080") + "/v1",
    api_key=os.environ.get("DRAGOMAN_KEY", "demo-you"),
)

answer = client.chat.completions.create(model="demo", messages=[{"role": "user", "content": "echo: hello"}])
print(answer.choices[0].message.content, answer.usage.total_tokens)

for chunk in client.chat.completions.create(
    model="demo", messages=[{"role": "user", "content": "count: 3"}], stream=True
):
    print(repr(chunk.choices[0].delta.content))

add = {"name": "add", "parameters": {"type": "object", "properties": {"a": {}, "b": {}}}}
messages = [{"role": "user", "content": "tool: add 2 3"}]
asked = client.chat.completions.create(
    model="demo", messages=messages, tools=[{"type": "function", "function": add}]
).choices[0]
print(asked.finish_reason, asked.message.tool_calls[0].function.arguments)

print(client.chat.completions.create(model="agent/demo", messages=messages).choices[0].message.content)
print(len(client.embeddings.create(model="demo-embed", input="hello").data[0].embedding))

try:
    client.with_options(max_retries=0).chat.completions.create(
        model="demo", messages=[{"role": "user", "content": "fail: out of order"}]
    )
except openai.InternalServerError as error:
    print(error.status_code, error.body["message"])
