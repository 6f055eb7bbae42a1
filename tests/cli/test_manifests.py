import json
from pathlib import Path

import pytest

PACKAGED = Path(__file__).parents[2] / "src" / "dragoman" / "ai" / "manifests"

GOOD = {
    "id": "acme",
    "protocol_version": "1.5",
    "endpoint": {"base_url": "https://api.acme.example/v1"},
    "availability": {
        "required": False,
        "regions": ["global"],
        "check": {"method": "GET", "path": "/models", "expected_status": [200]},
    },
    "capabilities": {"streaming": True, "tools": False, "vision": False},
}


@pytest.fixture
def check(dragoman, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments, **documents):
        for name, document in documents.items():
            text = document if isinstance(document, str) else json.dumps(document)
            (tmp_path / name.replace("__", ".")).write_text(text, "utf-8")
        return dragoman(["manifests", "check", *arguments])[0]

    return run


@pytest.mark.requirement("AIP-03")
def test_a_sound_manifest_is_told_so(check):
    result = check("acme.json", acme__json=GOOD)
    assert (result.exit_code, result.stdout) == (0, "acme.json: ok (acme, version 1.5)\n")


@pytest.mark.requirement("AIP-02", "AIP-03")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": "A!"}, ["id", "a-z"]),
        ({"protocol_version": "9.9"}, ["9.9", "1.5"]),
        ({"endpoint": {}}, ["endpoint.base_url"]),
        ({"endpoint": {"base_url": "https://x.example", "timeout_ms": "soon"}}, ["endpoint.timeout_ms", "integer"]),
        (
            {"streaming": {"decoder": {"format": "sse"}, "event_map": [{"match": "exists(", "emit": "StreamEnd"}]}},
            ["event_map"],
        ),
        ({"auth": {"type": "magic"}}, ["auth.type", "bearer"]),
    ],
)
def test_an_error_names_file_place_and_what_was_expected(check, change, words):
    result = check("acme.json", acme__json={**GOOD, **change})
    assert result.exit_code == 1
    (line, *_) = [line for line in result.stdout.splitlines() if all(word in line for word in words)]
    assert line.startswith("acme.json: ")


def test_an_unknown_field_is_a_remark(check):
    result = check("acme.json", acme__json={**GOOD, "shoe_size": 43})
    assert result.exit_code == 0
    assert "shoe_size" in result.stderr


MINIMAL = {"id": "acme", "protocol_version": "1.5", "endpoint": {"base_url": "https://api.acme.example/v1"}}


@pytest.mark.requirement("AIP-03")
def test_what_only_the_published_schema_asks_for_is_a_note_unless_it_is_asked_for(check):
    result = check("acme.json", acme__json=MINIMAL)
    assert (result.exit_code, result.stdout) == (0, "acme.json: ok (acme, version 1.5)\n")
    notes = [line for line in result.stderr.splitlines() if line.startswith("acme.json: note: ")]
    assert any("availability" in note for note in notes)
    strict = check("acme.json", "--strict", acme__json=MINIMAL)
    assert strict.exit_code == 1
    assert 'acme.json: the document: "availability" is a required property' in strict.stdout
    wrong = check("acme.json", acme__json={**MINIMAL, "auth": {"type": "magic"}})
    assert (wrong.exit_code, wrong.stdout.count("\n")) == (1, 1)
    assert "auth.type" in wrong.stdout


def test_every_file_is_looked_at_and_one_bad_one_counts(check):
    result = check("good.json", "bad.yaml", "gone.json", good__json=GOOD, bad__yaml="id: [")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["good.json", "bad.yaml", "gone.json"]
    assert "not there" in lines[2]


def test_findings_can_be_had_as_json(check):
    (finding,) = json.loads(check("acme.json", "--json", acme__json={**GOOD, "endpoint": {}}).stdout)
    assert finding["file"] == "acme.json"
    assert any("base_url" in error for error in finding["errors"])


@pytest.mark.requirement("AIP-01")
def test_all_manifests_that_come_along_are_sound(check):
    result = check(*(str(folder) for folder in sorted(PACKAGED.glob("v*/providers"))))
    assert [line for line in result.stdout.splitlines() if ": ok (" not in line] == []
    assert result.exit_code == 0


def test_the_manifest_of_the_pages_is_sound(check):
    example = Path(__file__).parents[2] / "examples" / "acme.yaml"
    assert check(str(example)).stdout.endswith("acme.yaml: ok (acme, version 1.5)\n")
