import asyncio
import json
import re
import subprocess
import sys
import time

import pytest

from dragoman.core.writes import Count
from dragoman.engine.agents import Agent
from dragoman.engine.app import App
from dragoman.server.credits import NEVER, counter_name
from dragoman.store.sqlite import open_store
from dragoman.testing import ScriptedModel, serve


@pytest.fixture
def keys(dragoman, tmp_path):
    """`keys("create", "--new", …)` on a data directory of the test's own."""

    def run(*arguments, env=None):
        return dragoman(["keys", *arguments, "--data", str(tmp_path / "data")], env=env or {})[0]

    return run


def test_a_key_is_shown_once(keys):
    made = keys("create", "--new", "--user", "ana", "--name", "laptop", "--scope", "admin")
    assert made.exit_code == 0
    text = made.stdout.strip()
    assert text.startswith("dk_")
    listed = keys("list")
    assert text.rpartition("_")[2] not in listed.stdout
    row = listed.stdout.splitlines()[1].split()
    assert row[0] == text.split("_")[1]
    assert {"laptop", "ana", "use,admin", "valid"} <= set(row)


def test_json_holds_everything_about_a_key(keys):
    made = json.loads(
        keys(
            "create", "--new", "--json", "--tenant", "t", "--project", "p1", "--rate", "100/60", "--expires", "30d"
        ).stdout
    )
    assert (made["tenant"], made["projects"], made["rate_limit"]) == ("t", ["p1"], [100, 60.0])
    assert made["expires"] - made["created"] == 30 * 86400
    (row,) = json.loads(keys("list", "--json").stdout)["keys"]
    assert row == {name: value for name, value in made.items() if name != "key"} | {"spent": None}


async def spend(where, key: str, amount: int) -> None:
    store = await open_store(where)
    try:
        now = time.time()
        row = next(one for one in await store.keys() if one.id == key)
        await store.commit(Count(row.tenant, "", counter_name(key), now=now, resets=NEVER, amount=amount))
    finally:
        await store.close()


def test_the_list_tells_the_rate_and_what_is_spent_of_a_budget(keys, tmp_path):
    made = json.loads(keys("create", "--new", "--rate", "100/60", "--budget", "20", "--json").stdout)
    plain = json.loads(keys("create", "--json").stdout)
    asyncio.run(spend(tmp_path / "data", made["id"], 1_250_000_000))
    rows = {row["id"]: row for row in json.loads(keys("list", "--json").stdout)["keys"]}
    assert (rows[made["id"]]["rate_limit"], rows[made["id"]]["budget"], rows[made["id"]]["spent"]) == (
        [100, 60],
        20,
        1.25,
    )
    assert (rows[plain["id"]]["budget"], rows[plain["id"]]["spent"]) == (None, None)
    told = keys("list").stdout
    assert "100/60" in told
    assert "1.25 of 20 $" in told


def test_a_further_key_belongs_to_the_tenant_of_the_first(keys):
    keys("create", "--new", "--tenant", "acme")
    assert json.loads(keys("create", "--new", "--json").stdout)["tenant"] == "acme"


def test_a_revoked_key_stays_in_the_list(keys):
    made = json.loads(keys("create", "--new", "--json").stdout)
    assert keys("revoke", made["key"]).stdout == f"revoked {made['id']}\n"
    (row,) = json.loads(keys("list", "--json").stdout)["keys"]
    assert row["state"] == "revoked"


def test_revoking_a_key_that_does_not_exist_is_an_error(keys):
    keys("create", "--new")
    result = keys("revoke", "nope")
    assert result.exit_code == 1
    assert "there is no key 'nope'" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--rate", "fast"], ["--rate", "5/0"], ["--expires", "soon"], ["--tenant", "a b"], ["--scope", "root"]],
)
def test_a_bad_option_is_a_usage_error(keys, arguments):
    result = keys("create", "--new", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")


def test_listing_the_keys_of_nothing_is_a_usage_error(keys):
    result = keys("list")
    assert result.exit_code == 2
    assert "there is no store" in result.stderr


def test_a_running_server_sees_keys_come_and_go(keys, dragoman, tmp_path):
    app = App("acme", agents=[Agent("a", model=ScriptedModel(["hello"]))])
    with serve(app, data=tmp_path / "data") as server:
        made = json.loads(keys("create", "--json").stdout)
        arguments = ["runs", "list", "--url", server.url, "--key", made["key"]]
        assert made["tenant"] == "acme"
        assert dragoman(arguments, port=None)[0].exit_code == 0
        keys("revoke", made["id"])
        result, _ = dragoman(arguments, port=None)
        assert result.exit_code == 1
        assert "DRAGOMAN_KEY" in result.stderr


@pytest.fixture
def home(tmp_path):
    """The environment of a user who has this home directory."""
    return {"XDG_DATA_HOME": str(tmp_path), "HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path)}


@pytest.mark.parametrize(("made", "expected"), [(["one"], 0), (["one", "two"], 2), ([], 2)])
def test_without_a_directory_the_only_one_is_meant_and_named(dragoman, home, made, expected):
    for name in made:
        assert dragoman(["keys", "create", "--new", "--app", name], env=home)[0].exit_code == 0
    result, _ = dragoman(["keys", "list"], env=home)
    assert result.exit_code == expected
    assert ", ".join(made) in result.stderr
    assert ("[data: " in result.stderr) is (expected == 0)


def test_a_mistyped_name_makes_no_data_directory(dragoman, home, tmp_path):
    dragoman(["keys", "create", "--new", "--app", "acme"], env=home)
    result, _ = dragoman(["keys", "create", "--app", "acmee"], env=home)
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.search(r"there is no data in '\S+acmee'.*: acme\), or add --new", result.stderr)
    assert not list(tmp_path.rglob("acmee"))
    given, _ = dragoman(["keys", "create", "--data", str(tmp_path / "typo")], env=home)
    assert (given.exit_code, given.stdout, (tmp_path / "typo").exists()) == (2, "", False)


def test_keys_need_no_package_of_the_server(tmp_path):
    code = (
        "import sys\n"
        "for name in ('pydantic_settings', 'starlette', 'uvicorn', 'structlog', 'orjson'): sys.modules[name] = None\n"
        "sys.argv = ['dragoman', 'keys', 'create', '--new', '--data', 'data']\n"
        "from dragoman.__main__ import main\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("dk_")
