"""`dragoman chatkit import-sqlite`: the sample store's rows become threads of every face."""

import asyncio
import json
import sqlite3
from contextlib import closing

import pytest

from dragoman.server.chatkit.stores import SQLiteStore

pytestmark = pytest.mark.requirement("CHK-33")

TABLES = """
CREATE TABLE threads (id TEXT PRIMARY KEY, user_id TEXT NOT NULL, created_at TEXT NOT NULL, data TEXT NOT NULL);
CREATE TABLE items (id TEXT PRIMARY KEY, thread_id TEXT NOT NULL, user_id TEXT NOT NULL, created_at TEXT NOT NULL,
    data TEXT NOT NULL);
CREATE TABLE attachments (id TEXT PRIMARY KEY, user_id TEXT NOT NULL, data TEXT NOT NULL);
"""
TIME = "2025-11-02T10:00:00"


def item(id, thread="thr_1", text="hi", kind="assistant_message", **more):
    content = [{"type": "input_text" if kind == "user_message" else "output_text", "text": text}]
    document = {"id": id, "thread_id": thread, "created_at": TIME, "type": kind, "content": content}
    return document | ({"attachments": [], "inference_options": {}} if kind == "user_message" else {}) | more


class Sample:
    """A file as the sample store writes it."""

    def __init__(self, path, tables=TABLES):
        self.path = path
        with closing(sqlite3.connect(path)) as db:
            db.executescript(tables)

    def put(self, table, *values):
        with closing(sqlite3.connect(self.path)) as db:
            db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)
            db.commit()

    def thread(self, id="thr_1", user="ann", wrapped=True, **more):
        document = {"id": id, "created_at": TIME, "title": f"About {id}", "metadata": {"k": 1}} | more
        self.put("threads", id, user, TIME, json.dumps({"thread": document} if wrapped else document))

    def item(self, document, user="ann", wrapped=True):
        data = json.dumps({"item": document} if wrapped else document)
        self.put("items", document["id"], document["thread_id"], user, TIME, data)


@pytest.fixture
def sample(tmp_path):
    return Sample(tmp_path / "chatkit.db")


@pytest.fixture
def run(dragoman, tmp_path, sample):
    """`run("--new")` on the sample's file and a data directory of the test's own."""

    def run(*arguments, file=None, env=None):
        command = ["chatkit", "import-sqlite", str(file or sample.path), "--data", str(tmp_path / "data"), *arguments]
        return dragoman(command, env=env or {})[0]

    return run


async def _stored(tmp_path, user="ann", tenant="main"):
    """Thread id → its items, newest thread first."""
    async with SQLiteStore(tmp_path / "data", tenant=tenant) as store:
        threads = (await store.load_threads(100, None, "desc", user)).data
        return {one.id: (await store.load_thread_items(one.id, None, 5000, "asc", user)).data for one in threads}


def stored(*arguments):
    return asyncio.run(_stored(*arguments))


def inside(tmp_path, read):
    """What `read(store)` gives."""

    async def reading():
        async with SQLiteStore(tmp_path / "data") as store:
            return await read(store)

    return asyncio.run(reading())


def test_threads_come_with_their_items_in_order_and_belong_to_their_users(run, sample, tmp_path):
    sample.thread()
    sample.thread("thr_2", wrapped=False, status={"type": "locked", "reason": "done"})
    sample.thread("thr_3", user="bob")
    texts = ["q", "a", "b"]
    for n, text in enumerate(texts):  # all of one moment
        sample.item(item(f"msg_{n}", text=text, kind="user_message" if n == 0 else "assistant_message"))
    sample.item(item("msg_x", "thr_2"), wrapped=False)
    done = run("--new")
    assert (done.exit_code, done.stdout) == (0, "imported 3 threads, 4 items, 0 attachments\n")
    threads = stored(tmp_path)
    assert list(threads) == ["thr_2", "thr_1"]
    assert [one.content[0].text for one in threads["thr_1"]] == texts
    assert {one.created_at.tzinfo is not None for one in threads["thr_1"]} == {True}
    assert list(stored(tmp_path, "bob")) == ["thr_3"]
    thread = inside(tmp_path, lambda store: store.load_thread("thr_2", "ann"))
    assert (thread.title, thread.metadata, thread.status.reason) == ("About thr_2", {"k": 1}, "done")

    async def rows_of(store):
        row = await store.find_thread("thr_1", "ann")
        return (await (await store.rows()).items(row.number)).rows

    rows = inside(tmp_path, rows_of)
    assert rows[0].body == {"parts": [{"type": "text", "text": "q"}]}
    assert rows[1].answer == rows[2].answer is not None


def test_a_second_import_only_brings_what_is_new(run, sample, tmp_path):
    sample.thread()
    sample.item(item("msg_1"))
    run("--new")
    assert run().stdout == "imported 0 threads, 0 items, 0 attachments\n2 were here already\n"
    sample.item(item("msg_2"))
    assert json.loads(run("--json").stdout) == {
        "threads": 0,
        "items": 1,
        "attachments": 0,
        "known": 2,
        "refused": [],
    }
    assert [one.id for one in stored(tmp_path)["thr_1"]] == ["msg_1", "msg_2"]


def test_a_long_thread_comes_whole(run, sample, tmp_path):
    sample.thread()
    with closing(sqlite3.connect(sample.path)) as db:
        rows = [(f"m{n}", "thr_1", "ann", TIME, json.dumps({"item": item(f"m{n}", text=str(n))})) for n in range(1203)]
        db.executemany("INSERT INTO items VALUES (?, ?, ?, ?, ?)", rows)
        db.commit()
    assert "1203 items" in run("--new").stdout
    assert [one.content[0].text for one in stored(tmp_path)["thr_1"]] == [str(n) for n in range(1203)]


def test_attachments_come_as_what_is_known_about_them(run, sample, tmp_path):
    sample.thread()
    file = {"id": "atc_1", "type": "file", "name": "a.txt", "mime_type": "text/plain", "thread_id": "thr_1"}
    old = {"id": "atc_2", "type": "file", "name": "b", "mime_type": "a/b", "upload_url": "https://a.test/up"}
    for document in (file, old):
        sample.put("attachments", document["id"], "ann", json.dumps({"attachment": document}))
    assert "2 attachments" in run("--new").stdout
    assert "3 were here already" in run().stdout
    one, two = (inside(tmp_path, lambda store, id=id: store.load_attachment(id, "ann")) for id in ("atc_1", "atc_2"))
    assert (one.name, one.thread_id) == ("a.txt", "thr_1")
    assert str(two.upload_descriptor.url) == "https://a.test/up"


def test_rows_that_cannot_be_read_are_named_and_the_rest_is_taken(run, sample, tmp_path):
    sample.thread()
    sample.item(item("msg_1"))
    sample.put("items", "msg_2", "thr_1", "ann", TIME, "{not json")
    sample.item(item("msg_3", kind="telepathy"))
    sample.put("items", "msg_4", "thr_1", "ann", TIME, "[]")
    sample.put("items", "msg_5", "thr_1", "ann", TIME, json.dumps({"item": item("msg_1")}))
    sample.put("threads", "thr_9", "ann", TIME, json.dumps({"thread": {"id": "thr_9"}}))
    sample.put("attachments", "atc_9", "ann", "null")
    done = run("--new")
    assert done.exit_code == 1
    assert done.stdout == "imported 1 threads, 1 items, 0 attachments\n"
    told = done.stderr
    for place in (
        "item 'msg_2'",
        "item 'msg_3'",
        "item 'msg_4'",
        "item 'msg_5'",
        "thread 'thr_9': created_at",
        "'atc_9'",
    ):
        assert place in told
    assert [one.id for one in stored(tmp_path)["thr_1"]] == ["msg_1"]


def thread_data(**more):
    return json.dumps({"id": "odd", "created_at": TIME} | more)


@pytest.mark.parametrize(
    ("user", "data", "told"),
    [
        ("ann", None, "expected a JSON document, got none"),
        ("ann", 5, "expected a JSON object"),
        ("ann", b"\xff\x00{", "can't decode"),
        ("ann", "[" * 100_000, "nested too deeply"),
        (None, thread_data(), "does not say whose it is"),
        ("", thread_data(), "does not say whose it is"),
        ("a\0b", thread_data(), "does not say whose it is"),
        ("ann", thread_data(id=""), "cannot be an id"),
        ("ann", thread_data(id="../../etc/passwd"), "cannot be an id"),
        ("ann", thread_data(id="x" * 129), "cannot be an id"),
        ("ann", '{"id": "\\ud800", "created_at": "2026-01-01T00:00:00Z"}', "cannot be an id"),
        ("ann", thread_data(created_at="0001-01-01T00:00:00+14:00"), "no time in UTC"),
        ("ann", thread_data(created_at="9999-12-31T23:59:59-14:00"), "no time in UTC"),
    ],
)
def test_an_odd_row_is_named_and_keeps_no_other(run, tmp_path, user, data, told):
    odd = Sample(tmp_path / "odd.db", TABLES.replace(" NOT NULL", ""))
    odd.put("threads", "odd", user, "1", data)
    odd.thread()
    done = run("--new", file=odd.path)
    assert done.exit_code == 1
    assert done.stdout == "imported 1 threads, 0 items, 0 attachments\n"
    assert "left out thread 'odd'" in done.stderr
    assert told in done.stderr
    assert stored(tmp_path) == {"thr_1": []}


def test_text_that_is_no_utf8_ends_nothing(run, tmp_path):
    odd = Sample(tmp_path / "odd.db", TABLES + "INSERT INTO threads VALUES ('odd', 'ann', '1', CAST(x'ff7b' AS TEXT));")
    odd.thread()
    assert "can't decode" in run("--new", file=odd.path).stderr
    assert list(stored(tmp_path)) == ["thr_1"]


def test_items_and_attachments_of_nobody_or_of_another_user_are_left_out(run, tmp_path):
    odd = Sample(tmp_path / "odd.db", TABLES.replace(" NOT NULL", ""))
    odd.thread()
    odd.item(item("msg_1"))
    odd.item(item("msg_2"), user="bob")
    odd.item(item("a b"))
    odd.put("attachments", "atc_1", None, json.dumps({"type": "file", "id": "atc_1", "name": "a", "mime_type": "a/b"}))
    done = run("--new", file=odd.path)
    assert done.stdout == "imported 1 threads, 1 items, 0 attachments\n"
    for told in (
        "item 'msg_2' of thread 'thr_1': it is another user's",
        "item 'a b'",
        "attachment 'atc_1': it does not",
    ):
        assert told in done.stderr
    assert [one.id for one in stored(tmp_path)["thr_1"]] == ["msg_1"]


def test_tables_without_row_numbers_are_read_in_order(run, tmp_path):
    views = TABLES.replace("data TEXT NOT NULL);", "data TEXT NOT NULL) WITHOUT ROWID;")
    odd = Sample(tmp_path / "odd.db", views)
    odd.thread()
    for id in ("msg_2", "msg_1"):
        odd.item(item(id))
    assert run("--new", file=odd.path).exit_code == 0
    assert [one.id for one in stored(tmp_path)["thr_1"]] == ["msg_1", "msg_2"]


def test_items_belong_to_the_row_that_they_name_whatever_its_document_says(run, tmp_path, sample):
    sample.put("threads", "row_1", "ann", TIME, json.dumps({"id": "thr_1", "created_at": TIME}))
    sample.item(item("msg_1", thread="row_1"))
    assert run("--new").exit_code == 0
    assert [one.id for one in stored(tmp_path)["thr_1"]] == ["msg_1"]


def test_a_damaged_file_is_told_in_clear_words(run, tmp_path, sample):
    for n in range(200):
        sample.thread(f"thr_{n}", metadata={"filling": "x" * 500})
    raw = bytearray(sample.path.read_bytes())
    raw[len(raw) // 2 :] = b"\xff" * (len(raw) - len(raw) // 2)
    sample.path.write_bytes(raw)
    done = run("--new")
    assert done.exit_code in (1, 2)
    assert "cannot be read" in done.stderr or "left out" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_without_users_needs_to_be_told_whose_it_is(run, tmp_path):
    bare = "CREATE TABLE threads (id, data); CREATE TABLE items (id, thread_id, data);"
    sample = Sample(tmp_path / "bare.db", bare)
    sample.put("threads", "thr_1", json.dumps({"id": "thr_1", "created_at": TIME}))
    sample.put("items", "m", "thr_1", json.dumps(item("m")))
    refused = run("--new", file=sample.path)
    assert refused.exit_code == 2
    assert "--owner" in refused.stderr
    assert not (tmp_path / "data").exists()
    assert run("--new", "--owner", "eve", "--tenant", "acme", file=sample.path).exit_code == 0
    assert [one.id for one in stored(tmp_path, "eve", "acme")["thr_1"]] == ["m"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "there is no file"),
        (b"no database at all" * 100, "cannot be read as a database"),
        ("CREATE TABLE other (x)", "no table 'threads' (it has: other)"),
        ("CREATE TABLE threads (id, user_id, data); CREATE TABLE items (id, data)", "no column 'thread_id'"),
    ],
)
def test_another_file_is_refused_in_clear_words(run, tmp_path, content, told):
    file = tmp_path / "other.db"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        Sample(file, content)
    done = run("--new", file=file)
    assert done.exit_code == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_check_keeps_nothing_and_the_sample_is_not_changed(run, sample, tmp_path):
    sample.thread()
    sample.item(item("msg_1"))
    before = sample.path.read_bytes()
    assert run("--check").stdout == "imported 1 threads, 1 items, 0 attachments\n"
    assert not (tmp_path / "data").exists()
    assert sample.path.read_bytes() == before


def test_a_mistyped_directory_is_not_made(run, sample, tmp_path):
    done = run()
    assert done.exit_code == 2
    assert "--new" in done.stderr
    assert not (tmp_path / "data").exists()
