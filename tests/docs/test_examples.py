"""Every file of `examples/` runs, the way its page says, against a server that a user started."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prove.wire import Wire

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"

SCRIPTS = {
    "kai_talk.py": "tool: add {'result': 5}\ntext: 5\nfinished: stop\nbefore, I said: tool: add 2 3\n",
    "kai_approve.py": "asked for create_bucket\ncreated photos\n",
    "kai_blocking.py": "no loop needed\n",
    "flow_first.py": "HELLO!\nHELLO?!\n",
    "flow_shape.py": "So It Goes\nThe Quick Br…\n",
    "flow_inner.py": "Oberon is old and Oberon is green.\n",
    "flow_tools.py": "It is 20 degrees in Bern\n",
    "flow_versions.py": "Hello, Ada\nDear Ada\nDear Ada. Yours, Acme\n",
    "flow_call.py": (
        "HELLO!\nHELLO?\n0 upper HELLO\n1 exclaim HELLO!\n"
        "It is 20 degrees in Bern\ntool_calls_required weather\nIt is warm in Bern\n"
    ),
    "flow_call_async.py": (
        "output: '1'\noutput: ' 2'\noutput: ' 3'\ndone: model 1 2 3 with 34 tokens\nresult: 1 2 3\n"
    ),
    "flow_job.py": "completed read me later\nCANCELLED: cancelled by the caller\n",
    "flow_trace.py": (
        "completed execute 1\nmodel completed scripted 34 None\necho: hello -> hello\n"
        "['run_started', 'step_started', 'step_input', 'step_output', 'step_completed', 'flow_completed']\n"
    ),
    "flow_replay.py": "live: they said HELLO!\nreplayed: they said HELLO!\n",
    "chatkit_talk.py": (
        "tool: add\nanswer: 5\nuser_message\nworkflow\nassistant_message\nuser_message\nassistant_message\n"
    ),
    "chatkit_widget.py": (
        '{"type":"Card","children":[{"type":"Title","value":"Weather"},{"id":"text","type":"Markdown","value":"It is"},'
        '{"type":"Button","label":"Again","onClickAction":{"type":"weather.again","payload":{"city":"Bern"},'
        '"handler":"server","loadingBehavior":"auto","streaming":true}}]}\n'
        '{"type":"widget.streaming_text.value_delta","component_id":"text","delta":" 20 degrees in Bern.","done":true}\n'
    ),
    "stackspot_first.py": ("SUCCESS hello stop\necho: remember me\n'1'\n' 2'\n' 3'\n' 4'\n' 5'\nSUCCESS 1 2 3 4 5\n"),
    "stackspot_async.py": "hello\n'1'\n' 2'\n' 3'\n['one', 'two']\n",
    "stackspot_batch.py": (
        "4 of 4 done, 1 failed\nSUCCESS {'square': 1}\nSUCCESS {'square': 4}\nSUCCESS {'square': 9}\nERROR None\n"
    ),
    "stackspot_handler.py": "6\n",
    "stackspot_upload.py": "SUCCESS plan.txt\nSUCCESS budget.csv\nplan.txt, budget.csv\n",
    "stackspot_knowledge.py": "SUCCESS\n['demo-ks']\n",
    "stackspot_command.py": "COMPLETED {'langs': ['pt', 'en']}\n['one', 'two', 'three']\n",
}
"""Example → what it prints."""
MODELS = {
    "ai_first_call.py": "hello\n34 tokens\n",
    "ai_streaming.py": "1 2 3 4 5\nended: end_turn\n",
    "ai_cancel.py": "1\ncancelled: user_request\n",
    "ai_tools.py": "call: add {'a': 2, 'b': 3}\n5\n",
    "ai_fallback.py": "still here\nfrom openai after 1 retries\n",
    "ai_metrics.py": "8 families at http://127.0.0.1\n2 requests, 68 tokens\nerror rate 0%, $0.000365\n",
    "ai_plugins.py": "The magic word?\nplease, says openai\nPLEASE\n",
    "ai_trace.py": (
        "chat gpt-4o CLIENT in order True\n{'gen_ai.operation.name': 'chat', 'gen_ai.provider.name': 'openai',"
        " 'gen_ai.request.model': 'gpt-4o', 'gen_ai.request.max_tokens': 50, 'gen_ai.usage.input_tokens': 21,"
        " 'gen_ai.usage.output_tokens': 13, 'gen_ai.usage.cache_read.input_tokens': 5,"
        " 'gen_ai.usage.reasoning.output_tokens': 2, 'gen_ai.response.model': 'gpt-4o',"
        " 'gen_ai.response.id': 'chatcmpl-1', 'gen_ai.response.finish_reasons': ['stop']}\n"
    ),
    "ai_manifest.py": "by manifest only\nstreamed too\n",
    "ai_cache.py": "hello 0\nhello 1\n1 answered here, 2 by the provider\n",
    "ai_structured.py": (
        "Bern 134000\n{'city': 'Bern'} … city='Bern' people=134000\n[1, 2, 3] after 0 repairs\n2 answers, not valid JSON\n"
    ),
    "ai_guardrails.py": (
        "ask [EMAIL REDACTED] about [REDACTED]\nmy card is [CARD REDACTED], thank you\ninput ['project-names']\n"
    ),
    "ai_batch.py": "1 of 3\n2 of 3\n3 of 3\n['one', None, 'three']\n1 no question\n",
    "flow_agent.py": "the sum is 5\n",
}
"""Example → what it prints when a byte server stands where its providers are."""
SERVICES = {
    "ai_embeddings.py": "3 vectors of 26 numbers, 7 tokens\ncats purr 0.91\ninvoices are due 0.49\n",
    "ai_speech.py": "wav True\nGood morning\n",
    "ai_images.py": "7 bytes\n",
    "ai_rerank.py": "1.0 Tyres are mended with patches.\n",
}
"""Example → what it prints; run by `test_ai_pages`."""
APPS = {"own_app.py", "own_model.py", "own_users.py", "own_test.py", "ai_agent.py", "flow_durable.py", "flow_test.py"}
STACKSPOT = {"stackspot_app.py", "stackspot_own.py", "stackspot_search.py"}
"""Run by `test_stackspot_pages`."""
CHATKIT = {
    f"chatkit_{name}.py"
    for name in (
        "action",
        "fastapi",
        "first",
        "form",
        "history",
        "hosted",
        "model",
        "s3",
        "store_test",
        "upload",
    )
}
"""Run by `test_chatkit_pages`."""
GATEWAY = {"gateway_app.py", "gateway_talk.py"}
"""Run by `test_gateway_pages`."""
MANIFESTS = {"acme.yaml"}

pytestmark = pytest.mark.requirement("CORE-10")


def run(*command: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=EXAMPLES,
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_example_is_run_here() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == {
        *SCRIPTS,
        *MODELS,
        *SERVICES,
        *APPS,
        *CHATKIT,
        *STACKSPOT,
        *GATEWAY,
        *MANIFESTS,
        "curl.sh",
    }


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_prints_what_its_page_says(name: str, demo_server: Any) -> None:
    done = run(sys.executable, "-W", "error", name, environment={"DRAGOMAN_URL": demo_server.url})
    assert (done.stderr, done.stdout) == ("", SCRIPTS[name])


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_curl_lines_work_as_they_stand(demo_server: Any) -> None:
    lines = (EXAMPLES / "curl.sh").read_text("utf-8").replace("http://127.0.0.1:8080", demo_server.url)
    done = run("sh", "-euc", lines)
    assert (done.stderr, done.returncode) == ("", 0)
    answer, rest = done.stdout.split("run.completed", 1)
    assert '"5"' in answer
    assert re.search(r"^id: ?4$", rest, re.MULTILINE)
    assert not re.search(r"^id: ?[123]$", rest.split("[DONE]")[0].split("id: 4", 1)[0], re.MULTILINE)
    chat = json.loads(done.stdout.rsplit("\n\n", 1)[-1])
    assert [message["role"] for message in chat["messages"]] == ["user", "assistant"]


def test_an_app_of_ones_own_is_served_and_answers(serve: Callable[..., Any]) -> None:
    server = serve("own_app:app", folder=EXAMPLES)
    key = re.search(r"dk_\S+", server.log.read_text("utf-8"))
    assert key is not None
    environment = {"DRAGOMAN_URL": server.url, "DRAGOMAN_KEY": key.group()}
    done = run(sys.executable, "-m", "dragoman", "chat", "hello", environment=environment)
    told = [line for line in done.stderr.splitlines() if not line.startswith("[waiting for ")]  # said after two seconds
    assert (told, done.stdout.strip(), done.returncode) == ([], "You said: hello", 0)


@pytest.mark.parametrize("name", ["own_test.py", "flow_test.py"])
def test_the_example_of_a_test_passes(name: str) -> None:
    done = run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, name)
    assert done.returncode == 0, done.stdout


def test_the_example_models_and_users_can_be_imported() -> None:
    done = run(sys.executable, "-W", "error", "-c", "import own_model, own_users")
    assert (done.stderr, done.returncode) == ("", 0)


# --------------------------------------------------------------------------- models of providers


@pytest.fixture
def providers(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment in which `openai` and `acme` are byte servers, and `groq` one that is overloaded."""
    with Wire() as wire, Wire(failures=[503] * 9) as overloaded:
        folder = tmp_path / "v2" / "providers"
        folder.mkdir(parents=True)
        for name, where in (("openai", wire.url), ("groq", overloaded.url)):
            packaged = ROOT / "src" / "dragoman" / "ai" / "manifests" / "v2" / "providers" / f"{name}.json"
            manifest = json.loads(packaged.read_text("utf-8"))
            manifest["endpoint"]["base_url"] = where
            (folder / f"{name}.json").write_text(json.dumps(manifest), "utf-8")
        keys = {"OPENAI_API_KEY": "k", "GROQ_API_KEY": "k", "ACME_KEY": "k", "ACME_URL": wire.url}
        yield {"AI_PROTOCOL_DIR": str(tmp_path), **keys}


@pytest.mark.requirement("AIP-51", "AIP-53")
@pytest.mark.parametrize("name", MODELS)
def test_an_example_of_models_prints_what_its_page_says(name: str, providers: dict[str, str]) -> None:
    done = run(sys.executable, "-W", "error", name, environment=providers)
    assert (done.stderr, done.stdout) == ("", MODELS[name])


def test_agents_with_models_of_providers_are_served(serve: Callable[..., Any], providers: dict[str, str]) -> None:
    server = serve("ai_agent:app", folder=EXAMPLES, environment=providers)
    key = re.search(r"dk_\S+", server.log.read_text("utf-8"))
    assert key is not None
    environment = {"DRAGOMAN_URL": server.url, "DRAGOMAN_KEY": key.group()}
    done = run(sys.executable, "-m", "dragoman", "chat", "tool: add 2 3", environment=environment)
    assert (done.stdout.strip(), done.returncode) == ("5", 0)


@pytest.mark.requirement("AIP-16")
def test_without_its_key_an_agent_is_not_served_and_the_variable_is_named(providers: dict[str, str]) -> None:
    environment = {**providers, "OPENAI_API_KEY": ""}
    command = [sys.executable, "-m", "dragoman", "serve", "ai_agent:app", "--port", "0", "--data", ":memory:"]
    done = run(*command, environment=environment)
    assert done.returncode == 2
    assert "agent 'helper'" in done.stderr
    assert "OPENAI_API_KEY" in done.stderr
    assert "Traceback" not in done.stderr
