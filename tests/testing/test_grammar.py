import pytest

from dragoman.testing.grammar import (
    Call,
    CountTo,
    Fail,
    ListFiles,
    Recall,
    Say,
    ShowForm,
    Unknown,
    number,
    parse,
)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("echo: hello", Say("hello")),
        ("echo:  two blanks\nand a line ", Say(" two blanks\nand a line ")),
        ("echo: echo: twice", Say("echo: twice")),
        ("echo: ", Say("")),
        ('json: {"a": 1}', Say('{"a": 1}')),
        ("reason: why", Say("why", reasoning="thinking about why")),
        ("count: 3", CountTo(3)),
        ("count: 0", CountTo(0)),
        ("count: 100000", CountTo(100_000)),
        ("slow: 5 300", CountTo(5, 0.3)),
        ("slow: 5 60000", CountTo(5, 60.0)),
        ("slow: 5 0.5", CountTo(5, 0.0005)),
        ("fail: it: broke", Fail("it: broke")),
        ("recall", Recall()),
        ("files", ListFiles()),
        ("widget: form", ShowForm()),
        ("tool: add 2 3", Call("add", {"a": 2, "b": 3})),
        ("tool: add -1.5 1e2", Call("add", {"a": -1.5, "b": 100.0})),
        ("approve: create_bucket photos", Call("create_bucket", {"name": "photos"})),
        ("approve: create_bucket my photos", Call("create_bucket", {"name": "my photos"})),
        ('client: get_place {"near": [1, 2]}', Call("get_place", {"near": [1, 2]}, client=True)),
    ],
)
def test_a_command_is_read_to_the_letter(text, command):
    assert parse(text) == command


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "echo:hello",
        "Echo: hello",
        "recall: x",
        "widget: card",
        "count: 100001",
        "count: -1",
        "count: 1.5",
        "count: ٣",
        "count: many",
        "count: ",
        "slow: 5",
        "slow: 5 60001",
        "slow: 100001 1",
        "slow: 5 -1",
        "slow: 5 nan",
        "slow: 5 inf",
        "slow: 5 300 1",
        "tool: add 1",
        "tool: add 1 2 3",
        "tool: add one 2",
        "tool: add 1e999 2",
        "tool: add nan 2",
        "tool: add 1_0 2",
        "tool: multiply 1 2",
        "approve: create_bucket",
        "approve: create_bucket  ",
        "approve: delete_bucket x",
        "client: get_place",
        "client: get_place nope",
        "client: get_place [1]",
        'client: get_place {"a": NaN}',
        'client: get_place {"a": [1e999]}',
        'client: "bad name" {}',
    ],
)
def test_everything_else_is_unknown(text):
    assert parse(text) == Unknown()


def test_whole_numbers_stay_integers_as_far_as_json_peers_read_them():
    assert type(number("2")) is int
    assert type(number("2.0")) is float
    assert type(number("9223372036854775807")) is int
    assert type(number("9223372036854775808")) is float
    assert number("9" * 401) is None
