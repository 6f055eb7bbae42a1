"""A flow's steps as nodes and edges, as text and as Mermaid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.flow_graph import END, START, as_mermaid, as_text, count_steps, flow_graph
from dragoman.core.flows import Node

STEPS = (
    Node("plan", "plan", "model", config={"temperature": 0.2}, model="demo"),
    Node(
        "each",
        "each",
        "loop",
        children=(
            Node("say", "say", "function", config={"suffix": "!"}),
            Node(
                "check",
                "check",
                "when",
                children=(Node("good", "good", "function"), Node("praise", "praise", "agent")),
                otherwise=(Node("ask", "ask", "client_tool"),),
            ),
        ),
    ),
    Node("maybe", "maybe", "when", children=(Node("yes", "yes", "function"),)),
    Node("end", "end", "function", open=True),
)


def edges(*steps: Node) -> set[tuple[str, str, str]]:
    return {(edge.source, edge.target, edge.kind) for edge in flow_graph(steps).edges}


def test_steps_in_a_row_follow_each_other() -> None:
    steps = (Node("a", "a", "function"), Node("b", "b", "function"))
    assert edges(*steps) == {(START, "a", "next"), ("a", "b", "next"), ("b", END, "next")}


def test_a_flow_without_steps_is_a_start_and_an_end() -> None:
    assert edges() == {(START, END, "next")}


def test_a_loop_comes_back_until_it_is_done() -> None:
    loop = Node("l", "l", "loop", children=(Node("a", "a", "function"), Node("b", "b", "function")))
    assert edges(loop) == {
        (START, "l", "next"),
        ("l", "a", "each"),
        ("a", "b", "next"),
        ("b", "l", "again"),
        ("l", END, "done"),
    }


def test_branches_come_together_and_one_that_is_not_there_is_passed_by() -> None:
    assert {edge for edge in edges(*STEPS) if edge[0] in ("check", "praise", "ask", "maybe", "yes")} == {
        ("check", "good", "yes"),
        ("check", "ask", "no"),
        ("praise", "each", "again"),
        ("ask", "each", "again"),
        ("maybe", "yes", "yes"),
        ("maybe", "end", "no"),
        ("yes", "end", "next"),
    }


def test_nodes_tell_where_they_lie() -> None:
    nodes = {node.id: node for node in flow_graph(STEPS).nodes}
    assert [
        (nodes[id].place, nodes[id].parent, nodes[id].branch) for id in ("plan", "say", "praise", "ask", "end")
    ] == [
        (0, None, None),
        (1, "each", None),
        (1, "check", True),
        (1, "check", False),
        (3, None, None),
    ]
    assert count_steps(STEPS) == len(STEPS) + 6


def test_the_text_is_a_line_for_each_step() -> None:
    assert as_text(STEPS) == (
        "  1  plan                model        demo  temperature=0.2\n"
        "  2  each                loop\n"
        '     ├─ say              function     suffix="!"\n'
        "     └─ check            when\n"
        "        ├─ then  good    function\n"
        "        ├─       praise  agent\n"
        "        └─ else  ask     client tool\n"
        "  3  maybe               when\n"
        "     └─ then  yes        function\n"
        "  4  end                 function     …\n"
    )


def test_mermaid_says_the_same() -> None:
    drawn = as_mermaid(STEPS).splitlines()
    assert drawn[0] == "flowchart TD"
    assert '    n2{{"each"}}' in drawn
    assert '    n7[/"ask"/]' in drawn
    assert "    n2 -->|each| n3" in drawn
    assert len(drawn) == 1 + len(flow_graph(STEPS).nodes) + len(flow_graph(STEPS).edges)


@pytest.mark.parametrize("name", ['say "hi"', "a]b", "<script>", "a\nb", "x|y", "`$`", "ünï"])
def test_no_name_breaks_out_of_its_label(name: str) -> None:
    line = as_mermaid((Node("a", name, "function"),)).splitlines()[2]
    assert line.startswith('    n1["')
    assert line.endswith('"]')
    assert not set(line[8:-2]) & set('"<>|`[]{}')


IDS = st.uuids().map(str)
LEAVES = IDS.map(lambda id: Node(id, id, "function"))


def nested(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    some = st.lists(inner, min_size=1, max_size=3).map(tuple)
    loops = st.builds(lambda id, kids: Node(id, id, "loop", children=kids), IDS, some)
    whens = st.builds(
        lambda id, kids, other: Node(id, id, "when", children=kids, otherwise=other),
        IDS,
        some,
        st.lists(inner, max_size=2).map(tuple),
    )
    return loops | whens


@given(st.lists(st.recursive(LEAVES, nested, max_leaves=12), max_size=4))
def test_every_step_can_be_reached_and_left(steps: list[Node]) -> None:
    graph = flow_graph(steps)
    forward: dict[str, set[str]] = {}
    backward: dict[str, set[str]] = {}
    for edge in graph.edges:
        forward.setdefault(edge.source, set()).add(edge.target)
        backward.setdefault(edge.target, set()).add(edge.source)

    def reach(begin: str, ways: dict[str, set[str]]) -> set[str]:
        found, todo = set(), [begin]
        while todo:
            one = todo.pop()
            if one not in found:
                found.add(one)
                todo += ways.get(one, ())
        return found

    everything = {node.id for node in graph.nodes}
    assert reach(START, forward) == everything == reach(END, backward)
    assert len(as_text(steps).splitlines()) == count_steps(steps) == len(graph.nodes) - 2
