"""The table of section A9: conversations, and what each wire makes of them. Data of `test_messages`."""

from __future__ import annotations

from typing import Any

from tests.ai.adapters.families import PNG, calling, user

from dragoman.ai.types import ContentBlock, Message

TEXT = ContentBlock.text_block


def input_item(role: str, *content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": list(content)}


def same_on_chat_wires(messages: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {wire: {"messages": messages} for wire in ("openai_chat", "cohere_v2", "ollama")}


TALK = [Message.user("Hi"), Message.assistant("Hello"), Message.user("Again")]
SYSTEM = [Message.system("Be brief."), Message.user("Hi"), Message.system("Be kind.")]
BLOCKS = [user(TEXT("One"), TEXT("Two"))]
PICTURE = [user(TEXT("What?"), ContentBlock.image_base64(PNG, "image/png"))]
ADDRESS = [user(TEXT("What?"), ContentBlock.image_url("https://pics.example/cat.jpg"))]
PAPER = [user(ContentBlock.document_base64("JVBERi0=", "application/pdf"), TEXT("Sum up"))]
SOUND = [user(ContentBlock.audio_base64("UklGRg==", "audio/mpeg"))]
CALLS = [
    Message.user("Weather?"),
    calling(("c1", "weather", '{"city": "Ulm"}'), ("c2", "weather", '{"city":"Bonn"}'), text="I look."),
    Message.tool("c1", "sunny"),
    Message.tool("c2", "rain"),
    Message.user("Thanks"),
]
THOUGHT = [
    Message.user("Hi"),
    Message.with_content("assistant", [TEXT("Hello"), ContentBlock.thinking("They greet.", "sig-1")]),
    Message.user("Bye"),
]

CONVERSATIONS: dict[str, tuple[list[Message], dict[str, dict[str, Any]]]] = {
    "text only": (
        TALK,
        {
            **same_on_chat_wires(
                [
                    {"role": "user", "content": "Hi"},
                    {"role": "assistant", "content": "Hello"},
                    {"role": "user", "content": "Again"},
                ]
            ),
            "openai_responses": {
                "input": [
                    input_item("user", {"type": "input_text", "text": "Hi"}),
                    input_item("assistant", {"type": "output_text", "text": "Hello"}),
                    input_item("user", {"type": "input_text", "text": "Again"}),
                ]
            },
            "anthropic": {
                "messages": [
                    {"role": "user", "content": "Hi"},
                    {"role": "assistant", "content": "Hello"},
                    {"role": "user", "content": "Again"},
                ]
            },
            "gemini": {
                "contents": [
                    {"role": "user", "parts": [{"text": "Hi"}]},
                    {"role": "model", "parts": [{"text": "Hello"}]},
                    {"role": "user", "parts": [{"text": "Again"}]},
                ]
            },
        },
    ),
    "system": (
        SYSTEM,
        {
            **same_on_chat_wires(
                [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "Hi"},
                    {"role": "system", "content": "Be kind."},
                ]
            ),
            "openai_responses": {
                "instructions": "Be brief.\n\nBe kind.",
                "input": [input_item("user", {"type": "input_text", "text": "Hi"})],
            },
            "anthropic": {"system": "Be brief.\n\nBe kind.", "messages": [{"role": "user", "content": "Hi"}]},
            "gemini": {
                "systemInstruction": {"parts": [{"text": "Be brief.\n\nBe kind."}]},
                "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
            },
        },
    ),
    "text blocks": (
        BLOCKS,
        {
            "openai_chat": {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "Two"}]}
                ]
            },
            "cohere_v2": {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "Two"}]}
                ]
            },
            "ollama": {"messages": [{"role": "user", "content": "One\nTwo"}]},
            "openai_responses": {
                "input": [
                    input_item("user", {"type": "input_text", "text": "One"}, {"type": "input_text", "text": "Two"})
                ]
            },
            "anthropic": {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "Two"}]}
                ]
            },
            "gemini": {"contents": [{"role": "user", "parts": [{"text": "One"}, {"text": "Two"}]}]},
        },
    ),
    "image as base64": (
        PICTURE,
        {
            "openai_chat": {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "What?"},
                            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                        ],
                    }
                ]
            },
            "cohere_v2": {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "What?"},
                            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                        ],
                    }
                ]
            },
            "ollama": {"messages": [{"role": "user", "content": "What?", "images": [PNG]}]},
            "openai_responses": {
                "input": [
                    input_item(
                        "user",
                        {"type": "input_text", "text": "What?"},
                        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"},
                    )
                ]
            },
            "anthropic": {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "What?"},
                            {
                                "type": "image",
                                "source": {"type": "base64", "media_type": "image/png", "data": PNG},
                            },
                        ],
                    }
                ]
            },
            "gemini": {
                "contents": [
                    {
                        "role": "user",
                        "parts": [{"text": "What?"}, {"inlineData": {"mimeType": "image/png", "data": PNG}}],
                    }
                ]
            },
        },
    ),
    "image by its address": (
        ADDRESS,
        {
            "openai_chat": {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "What?"},
                            {"type": "image_url", "image_url": {"url": "https://pics.example/cat.jpg"}},
                        ],
                    }
                ]
            },
            "cohere_v2": {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "What?"},
                            {"type": "image_url", "image_url": {"url": "https://pics.example/cat.jpg"}},
                        ],
                    }
                ]
            },
            "openai_responses": {
                "input": [
                    input_item(
                        "user",
                        {"type": "input_text", "text": "What?"},
                        {"type": "input_image", "image_url": "https://pics.example/cat.jpg"},
                    )
                ]
            },
            "anthropic": {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "What?"},
                            {"type": "image", "source": {"type": "url", "url": "https://pics.example/cat.jpg"}},
                        ],
                    }
                ]
            },
            "gemini": {
                "contents": [
                    {
                        "role": "user",
                        "parts": [
                            {"text": "What?"},
                            {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://pics.example/cat.jpg"}},
                        ],
                    }
                ]
            },
        },
    ),
    "document": (
        PAPER,
        {
            "openai_chat": {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {
                                "type": "file",
                                "file": {
                                    "filename": "document.pdf",
                                    "file_data": "data:application/pdf;base64,JVBERi0=",
                                },
                            },
                            {"type": "text", "text": "Sum up"},
                        ],
                    }
                ]
            },
            "openai_responses": {
                "input": [
                    input_item(
                        "user",
                        {
                            "type": "input_file",
                            "filename": "document.pdf",
                            "file_data": "data:application/pdf;base64,JVBERi0=",
                        },
                        {"type": "input_text", "text": "Sum up"},
                    )
                ]
            },
            "anthropic": {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {
                                "type": "document",
                                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
                            },
                            {"type": "text", "text": "Sum up"},
                        ],
                    }
                ]
            },
            "gemini": {
                "contents": [
                    {
                        "role": "user",
                        "parts": [
                            {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}},
                            {"text": "Sum up"},
                        ],
                    }
                ]
            },
        },
    ),
    "sound": (
        SOUND,
        {
            "openai_chat": {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "mp3"}}],
                    }
                ]
            },
            "openai_responses": {
                "input": [
                    input_item("user", {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "mp3"}})
                ]
            },
            "gemini": {
                "contents": [
                    {"role": "user", "parts": [{"inlineData": {"mimeType": "audio/mpeg", "data": "UklGRg=="}}]}
                ]
            },
        },
    ),
    "calls and results": (
        CALLS,
        {
            **{
                wire: {
                    "messages": [
                        {"role": "user", "content": "Weather?"},
                        {
                            "role": "assistant",
                            "content": "I look.",
                            "tool_calls": [
                                {
                                    "id": "c1",
                                    "type": "function",
                                    "function": {"name": "weather", "arguments": '{"city": "Ulm"}'},
                                },
                                {
                                    "id": "c2",
                                    "type": "function",
                                    "function": {"name": "weather", "arguments": '{"city":"Bonn"}'},
                                },
                            ],
                        },
                        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
                        {"role": "tool", "tool_call_id": "c2", "content": "rain"},
                        {"role": "user", "content": "Thanks"},
                    ]
                }
                for wire in ("openai_chat", "cohere_v2")
            },
            "ollama": {
                "messages": [
                    {"role": "user", "content": "Weather?"},
                    {
                        "role": "assistant",
                        "content": "I look.",
                        "tool_calls": [
                            {"function": {"name": "weather", "arguments": {"city": "Ulm"}}},
                            {"function": {"name": "weather", "arguments": {"city": "Bonn"}}},
                        ],
                    },
                    {"role": "tool", "content": "sunny", "tool_name": "weather"},
                    {"role": "tool", "content": "rain", "tool_name": "weather"},
                    {"role": "user", "content": "Thanks"},
                ]
            },
            "openai_responses": {
                "input": [
                    input_item("user", {"type": "input_text", "text": "Weather?"}),
                    input_item("assistant", {"type": "output_text", "text": "I look."}),
                    {
                        "type": "function_call",
                        "call_id": "c1",
                        "name": "weather",
                        "arguments": '{"city": "Ulm"}',
                    },
                    {"type": "function_call", "call_id": "c2", "name": "weather", "arguments": '{"city":"Bonn"}'},
                    {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
                    {"type": "function_call_output", "call_id": "c2", "output": "rain"},
                    input_item("user", {"type": "input_text", "text": "Thanks"}),
                ]
            },
            "anthropic": {
                "messages": [
                    {"role": "user", "content": "Weather?"},
                    {
                        "role": "assistant",
                        "content": [
                            {"type": "text", "text": "I look."},
                            {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Ulm"}},
                            {"type": "tool_use", "id": "c2", "name": "weather", "input": {"city": "Bonn"}},
                        ],
                    },
                    {
                        "role": "user",
                        "content": [
                            {"type": "tool_result", "tool_use_id": "c1", "content": "sunny"},
                            {"type": "tool_result", "tool_use_id": "c2", "content": "rain"},
                            {"type": "text", "text": "Thanks"},
                        ],
                    },
                ]
            },
            "gemini": {
                "contents": [
                    {"role": "user", "parts": [{"text": "Weather?"}]},
                    {
                        "role": "model",
                        "parts": [
                            {"text": "I look."},
                            {
                                "functionCall": {"id": "c1", "name": "weather", "args": {"city": "Ulm"}},
                                "thoughtSignature": "skip_thought_signature_validator",
                            },
                            {"functionCall": {"id": "c2", "name": "weather", "args": {"city": "Bonn"}}},
                        ],
                    },
                    {
                        "role": "user",
                        "parts": [
                            {
                                "functionResponse": {
                                    "id": "c1",
                                    "name": "weather",
                                    "response": {"output": "sunny"},
                                }
                            },
                            {"functionResponse": {"id": "c2", "name": "weather", "response": {"output": "rain"}}},
                            {"text": "Thanks"},
                        ],
                    },
                ]
            },
        },
    ),
    "thinking with a signature": (
        THOUGHT,
        {
            **same_on_chat_wires(
                [
                    {"role": "user", "content": "Hi"},
                    {"role": "assistant", "content": "Hello"},
                    {"role": "user", "content": "Bye"},
                ]
            ),
            "openai_responses": {
                "input": [
                    input_item("user", {"type": "input_text", "text": "Hi"}),
                    input_item("assistant", {"type": "output_text", "text": "Hello"}),
                    {
                        "type": "reasoning",
                        "summary": [{"type": "summary_text", "text": "They greet."}],
                        "encrypted_content": "sig-1",
                    },
                    input_item("user", {"type": "input_text", "text": "Bye"}),
                ]
            },
            "anthropic": {
                "messages": [
                    {"role": "user", "content": "Hi"},
                    {
                        "role": "assistant",
                        "content": [
                            {"type": "thinking", "thinking": "They greet.", "signature": "sig-1"},
                            {"type": "text", "text": "Hello"},
                        ],
                    },
                    {"role": "user", "content": "Bye"},
                ]
            },
            "gemini": {
                "contents": [
                    {"role": "user", "parts": [{"text": "Hi"}]},
                    {
                        "role": "model",
                        "parts": [
                            {"text": "Hello"},
                            {"text": "They greet.", "thought": True, "thoughtSignature": "sig-1"},
                        ],
                    },
                    {"role": "user", "parts": [{"text": "Bye"}]},
                ]
            },
        },
    ),
}
REFUSED = {
    "image by its address": ["ollama"],
    "document": ["cohere_v2", "ollama"],
    "sound": ["anthropic", "cohere_v2", "ollama"],
}
