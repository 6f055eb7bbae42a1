import os

from dragoman.noukai import Noukai

URL = os.environ.get("DRAGOMAN_URL", "http://127.0.0.1:8080")

with Noukai("nk_demo", base_url=f"{URL}/api/v1", org="demo", project="basics") as client:
    flow = client.flow("model")
    run = flow.run(flow.execute("echo: hello").execution_id)

    trace = run.trace()
    print(trace.summary.status, trace.summary.trigger_type, trace.summary.step_count)
    for step in trace.steps:
        print(step.step_id, step.status, step.model_used, step.tokens.total, step.cost_usd)

    step = run.step_trace("model")
    print(step.input_context["message"], "->", step.output_context["output"])

    print([event.type for event in run.live_trace()])
