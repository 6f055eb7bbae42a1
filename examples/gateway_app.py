from dragoman import App, provider_model

app = App(
    "gateway",
    models={
        "fast": "openai/gpt-4o-mini",
        "careful": provider_model("anthropic/claude-sonnet-4-5", retries=2, fallbacks=["openai/gpt-4o"]),
    },
)
