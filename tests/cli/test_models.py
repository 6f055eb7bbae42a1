import json
import os

import pytest
from prove.wire import Wire


@pytest.fixture
def models(dragoman, tmp_path, monkeypatch):
    """`dragoman models …` where no key is set and no folder of manifests is near."""
    place = tmp_path / "deep" / "er"
    place.mkdir(parents=True)
    monkeypatch.chdir(place)
    keys = {name: None for name in os.environ if name.endswith(("_API_KEY", "_KEY", "_TOKEN"))}

    def run(*arguments, **env):
        names = {"AI_PROTOCOL_DIR": None, "AI_PROTOCOL_PATH": None, "DRAGOMAN_MODELS__MANIFESTS": None}
        return dragoman(["models", *arguments], env={**keys, **names, **env})[0]

    return run


def rows(result):
    return {row["provider"]: row for row in json.loads(result.stdout)}


def house(tmp_path, url, **fields):
    folder = tmp_path / "manifests"
    (folder / "v1" / "providers").mkdir(parents=True)
    document = {"id": "house", "protocol_version": "1.5", "endpoint": {"base_url": url}, **fields}
    (folder / "v1" / "providers" / "house.json").write_text(json.dumps(document), "utf-8")
    return str(folder)


@pytest.mark.requirement("AIP-16")
def test_what_is_usable_comes_first_and_the_rest_says_what_it_lacks(models):
    result = models("--json", GROQ_API_KEY="secret-of-groq")
    found = rows(result)
    assert result.exit_code == 0
    assert (found["groq"]["usable"], found["groq"]["why"]) == (True, "key from GROQ_API_KEY")
    assert (found["ollama"]["usable"], found["ollama"]["why"]) == (True, "needs no key")
    assert (found["groq"]["keyless"], found["ollama"]["keyless"]) == (False, True)
    assert found["openai"]["usable"] is False
    assert "OPENAI_API_KEY" in found["openai"]["why"]
    assert "AZURE_RESOURCE_NAME" in found["azure"]["why"]
    assert any(name.startswith("openai/gpt") for name in found["openai"]["models"])
    order = [row["usable"] for row in json.loads(result.stdout)]
    assert order == sorted(order, reverse=True)


@pytest.mark.requirement("AIP-113")
def test_a_key_is_never_shown(models):
    result = models(GROQ_API_KEY="secret-of-groq")
    assert result.exit_code == 0
    assert "secret-of-groq" not in result.output
    assert result.stdout.splitlines()[0].split() == ["PROVIDER", "USABLE", "WHY", "MODELS"]


def test_the_models_of_one_provider_are_listed(models):
    result = models("openai", OPENAI_API_KEY="x")
    assert result.exit_code == 0
    assert "openai: usable: key from OPENAI_API_KEY" in result.stdout
    assert "openai/gpt-" in result.stdout
    assert models("openai").exit_code == 1
    assert json.loads(models("google", "--json", GEMINI_API_KEY="x").stdout)["provider"] == "gemini"


def test_an_unknown_provider_is_told(models):
    result = models("nobody-knows")
    assert result.exit_code == 1
    assert "nobody-knows" in result.stderr


def test_the_name_of_a_model_is_told_from_that_of_a_provider(models):
    result = models("openai/gpt-4o")
    assert result.stderr == "error: expected a provider, such as 'openai', got the model 'openai/gpt-4o'\n"


def test_a_folder_that_is_not_there_is_told_with_its_setting(models):
    result = models(DRAGOMAN_MODELS__MANIFESTS="./nowhere")
    assert result.stderr == "error: models.manifests: there is no folder or file './nowhere'\n"


def test_manifests_of_the_settings_are_seen_and_a_broken_one_says_why(models, tmp_path):
    folder = house(tmp_path, "http://127.0.0.1:9/v1")
    (tmp_path / "manifests" / "v1" / "providers" / "broken.json").write_text("{", "utf-8")
    found = rows(models("--json", DRAGOMAN_MODELS__MANIFESTS=folder))
    assert found["house"]["usable"] is True
    assert found["house"]["manifest"].endswith("house.json")
    assert found["broken"]["usable"] is False
    assert "broken.json" in found["broken"]["why"]


def test_a_provider_without_a_check_is_not_said_to_answer(models, tmp_path):
    result = models("house", "--ask", DRAGOMAN_MODELS__MANIFESTS=house(tmp_path, "http://127.0.0.1:9/v1"))
    assert (result.exit_code, "answers" in result.stdout) == (0, False)
    assert "names no check" in result.stdout


def test_nothing_is_sent_unless_asked_for(models, tmp_path):
    with Wire() as wire:
        check = {"required": False, "check": {"method": "GET", "path": "/models", "expected_status": [404]}}
        folder = house(tmp_path, wire.url, availability=check)
        assert rows(models("--json", DRAGOMAN_MODELS__MANIFESTS=folder))["house"]["usable"] is True
        assert wire.seen == []
        asked = models("house", "--ask", DRAGOMAN_MODELS__MANIFESTS=folder)
        assert (asked.exit_code, [seen.path for seen in wire.seen]) == (0, ["/v1/models"])
    gone = models("house", "--ask", DRAGOMAN_MODELS__MANIFESTS=folder)
    assert gone.exit_code == 1
    assert "does not answer its check: no connection" in gone.stdout
