"""Differences: found where they are, told once, in few lines."""

from typing import Any

from dragoman.testing.replaying.comparing import (
    NOTHING,
    Difference,
    compare_agents,
    compare_nodes,
    compare_outcomes,
    leaves,
    told,
)


def outcomes(**changes: Any) -> dict[str, Any]:
    return {"steps": [], "tools": [], "result": None, "status": "completed", "error": None, **changes}


def test_an_output_that_goes_on_as_input_and_result_is_told_once() -> None:
    def steps(first: str, second: str) -> list[dict[str, Any]]:
        return [
            {"step": "upper", "input": {"message": "hi"}, "output": first},
            {"step": "exclaim", "input": {"output": first}, "output": second},
        ]

    before = outcomes(steps=steps("HI", "HI!"), result="HI!")
    after = outcomes(steps=steps("Hi", "Hi!"), result="Hi!")
    found = compare_outcomes("two", before, after, cut=False)
    assert [each.place for each in found] == ["two · upper · output", "two · exclaim · output"]


def test_the_output_of_a_branch_is_told_where_it_comes_from() -> None:
    def steps(price: str) -> list[dict[str, Any]]:
        return [
            {"step": "price", "chosen": [True], "output": price},
            {"step": "big", "input": {"message": "hi"}, "output": price},
            {"step": "say", "input": {"output": price}, "output": "done"},
        ]

    found = compare_outcomes("trip", outcomes(steps=steps("dear")), outcomes(steps=steps("very dear")), cut=False)
    assert [each.place for each in found] == ["trip · big · output"]


def test_only_the_innermost_value_is_told() -> None:
    (found,) = leaves(("a",), {"x": [1, {"y": 2, "z": 3}]}, {"x": [1, {"y": 2, "z": 4}]})
    assert (found.where, found.recorded, found.replayed) == (("a", "x", "1", "z"), 3, 4)


def test_what_is_on_one_side_alone_stands_against_nothing() -> None:
    assert [str(each) for each in leaves(("a",), {"x": 1}, {"y": None})] == [
        "a · x\n  - 1\n  + (nothing)",
        "a · y\n  - (nothing)\n  + null",
    ]


def test_one_and_one_point_zero_are_one_number_and_true_is_none() -> None:
    assert list(leaves((), {"a": 1}, {"a": 1.0})) == []
    assert len(list(leaves((), {"a": 1}, {"a": True}))) == 1


def test_long_texts_are_told_by_the_lines_that_differ() -> None:
    text = "\n".join(f"line {n}" for n in range(100))
    said = str(Difference(("prompt",), text, text.replace("line 50", "LINE 50")))
    assert said.splitlines() == ["prompt", "    line 49", "  - line 50", "  + LINE 50", "    line 51"]


def test_what_is_told_is_short_whatever_differs() -> None:
    many = [Difference(("x", str(n)), "a" * 5000, "\n".join("b" * 99)) for n in range(500)]
    assert len(told(many)) < 60_000
    assert told(many).endswith("… and 480 more differences")


def test_other_steps_are_told_by_their_names() -> None:
    before = outcomes(steps=[{"step": "a", "output": 1}, {"step": "b", "output": 2}])
    after = outcomes(steps=[{"step": "a", "output": 1}, {"step": "c", "output": 2}])
    (found,) = compare_outcomes("f", before, after, cut=False)
    assert (found.place, found.recorded, found.replayed) == ("f · steps", "a, b", "a, c")


def test_what_a_cancelled_run_was_in_the_middle_of_does_not_count() -> None:
    before = outcomes(
        steps=[{"step": "a", "output": 1}, {"step": "b", "error": {"code": "cancelled"}}], status="cancelled"
    )
    after = outcomes(steps=[{"step": "a", "output": 1}, {"step": "b", "output": 2}, {"step": "c"}], status="cancelled")
    assert compare_outcomes("f", before, after, cut=True) == []
    after["steps"][0]["output"] = 7
    assert len(compare_outcomes("f", before, after, cut=True)) == 1


def test_agents_differ_in_what_their_models_are_told() -> None:
    tool = {"spec": {"description": "d", "parameters": {}}, "read_only": True, "digest": "1"}
    before = {"model": "m", "instructions": "a", "options": {"temperature": 1}, "tools": {"x": tool, "y": tool}}
    after = {"model": "m", "instructions": "a", "options": {}, "tools": {"x": {**tool, "digest": "2"}, "z": tool}}
    assert [each.place for each in compare_agents("helper", before, after)] == [
        "helper · options · temperature",
        "helper · tools",
        "helper · tools",
    ]
    (gone,) = compare_agents("helper", before, None)
    assert gone.replayed is NOTHING


def test_flows_differ_in_their_steps_and_configuration_not_in_digests() -> None:
    node = {"id": "say", "name": "say", "kind": "model", "config": {"instructions": "a"}, "digest": "1"}
    loop = {"id": "l", "name": "l", "kind": "loop", "children": [node], "digest": "3"}
    changed = {**node, "config": {"instructions": "b"}, "digest": "2"}
    found = list(compare_nodes("f", [loop], [{**loop, "children": [changed]}]))
    assert [each.place for each in found] == ["f · say · config · instructions"]
    assert [each.place for each in compare_nodes("f", [node], [])] == ["f · steps of the flow"]


def test_what_was_masked_matches_anything() -> None:
    def differ(before: Any, after: Any) -> bool:
        return bool(list(leaves((), before, after)))

    assert not differ("mail [redacted]!", "mail ann@example.org!")
    assert not differ("[redacted]", 5)
    assert differ("mail [redacted]!", "mail ann@example.org?")
    assert differ("[redacted] x", None)
