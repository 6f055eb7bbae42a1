"""Makes the package's manifests and schemas (JSON) out of the YAML tree that the tests keep.

    python tools/manifests.py            writes src/dragoman/ai/manifests
    python tools/manifests.py --check    says what differs, and fails if anything does

The tree under `tests/ai/data/manifests` has the shape of an AI-Protocol directory and is the one
source; the package ships JSON, so that reading it needs no extra. Compliance cases, fixtures and
the legacy file stay with the tests. Needs PyYAML; `tests/ai/protocol/test_package_data.py` compares.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "tests" / "ai" / "data" / "manifests"
PACKAGE = ROOT / "src" / "dragoman" / "ai" / "manifests"

_FOLDERS = {
    "v1/providers": "v1/providers",
    "v1/models": "v1/models",
    "v2/providers": "v2/providers",
    "v2/contracts": "v2/contracts",
    "own/v1/providers": "v1/providers",
    "schemas": "schemas",
    "schemas/v2": "schemas/v2",
}
_MORE_FORMATS = ["data_lines", "json_lines", "ndjson", "jsonl", "gemini_sse", "json_array"]
_FLAGS = {"type": "object", "additionalProperties": {"type": "boolean"}}


def _widened(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Our copies of the schemas admit what real manifests use and the originals forgot."""
    if name == "schemas/v1.json":
        properties = schema["properties"]
        properties["streaming"]["properties"]["decoder"]["properties"]["format"]["enum"] += _MORE_FORMATS
        classes = properties["error_classification"]["properties"]
        words = classes["by_http_status"]["additionalProperties"]
        classes.setdefault("by_error_code", {"type": "object", "additionalProperties": words})
        classes.setdefault("by_message_contains", {"type": "object", "additionalProperties": words})
        properties.setdefault("feature_flags", _FLAGS)
    if name == "schemas/v2/capabilities.json":
        schema["$defs"]["capability_name"]["enum"].append("reranking")
    if name == "schemas/v2/provider.json":
        classes = schema["properties"]["error_classification"]["properties"]
        classes.setdefault("by_error_status", dict(classes["by_error_code"]))
        classes.setdefault("by_message_contains", dict(classes["by_error_code"]))
        schema["properties"].setdefault("feature_flags", _FLAGS)
        schema["properties"]["retry_policy"]["properties"]["strategy"]["enum"].append("none")
    return schema


def generated(source: Path = SOURCE) -> dict[str, str]:
    """File name below the package folder → its text, for everything that is shipped."""
    files: dict[str, str] = {"NOTICE": _notice(source)}
    identity = source / "dist" / "provider-identity.json"
    files["provider-identity.json"] = _dump(json.loads(identity.read_text(encoding="utf-8")))
    files["patches.json"] = _dump(yaml.safe_load((source / "own" / "patches.yaml").read_text(encoding="utf-8")))
    for folder, target in _FOLDERS.items():
        for path in sorted((source / folder).glob("*.*")):
            if path.suffix not in (".yaml", ".json"):
                continue
            text = path.read_text(encoding="utf-8")
            document = yaml.safe_load(text) if path.suffix == ".yaml" else json.loads(text)
            name = f"{target}/{path.stem}.json"
            if name in files:
                raise SystemExit(f"two sources for {name}: {path.relative_to(source)} is the second")
            files[name] = _dump(_widened(name, document))
    return files


def _notice(source: Path) -> str:
    """The notice of the tree, after a word on what this copy is."""
    own = ", ".join(sorted(path.stem for path in (source / "own" / "v1" / "providers").glob("*.yaml")))
    return f"""The JSON files in this folder are made from the tree that the notice below is about: YAML is written as JSON, and the
schemas admit some more decoder formats, feature_flags, by_message_contains and by_error_code. Not from that project, but Dragoman's
own: patches.json, and in v1/providers {own}.

{"-" * 132}

{(source / "NOTICE").read_text(encoding="utf-8")}"""


def _dump(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def differences(package: Path = PACKAGE) -> list[str]:
    """What a fresh generation would change, one line each."""
    wanted = generated()
    present = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    lines = [f"missing: {name}" for name in sorted(wanted.keys() - present)]
    lines += [f"not generated: {name}" for name in sorted(present - wanted.keys())]
    for name in sorted(wanted.keys() & present):
        if (package / name).read_text(encoding="utf-8") != wanted[name]:
            lines.append(f"differs: {name}")
    return lines


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        found = differences()
        print("\n".join(found) or "manifests: as generated")
        return 1 if found else 0
    if arguments:
        print(__doc__)
        return 2
    wanted = generated()
    for path in PACKAGE.rglob("*"):
        if path.is_file() and path.relative_to(PACKAGE).as_posix() not in wanted:
            path.unlink()
    for name, text in wanted.items():
        target = PACKAGE / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    print(f"manifests: {len(wanted)} files")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
