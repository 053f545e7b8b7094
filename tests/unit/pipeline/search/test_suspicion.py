from __future__ import annotations

from loom_jupyter.context.context_map import Target
from loom_jupyter.pipeline.search.branch import Candidate
from loom_jupyter.pipeline.search.lines import Suspicion

UNIT = """\
def price(w):
    \"\"\"Say what it costs.\"\"\"
    if w < 2:
        return 1
    total = (
        w
        * 2
    )
    return total
"""


def target(*executed: int) -> Target:
    return Target(
        id="s1", path="a.py", symbol="price", kind="function", start=11, end=19, sha256="0" * 64, text=UNIT,
        executed=executed,
    )  # fmt: skip


def order(executed: tuple[int, ...], *changes: tuple[str, str, float]) -> list[str]:
    found = [Candidate(UNIT.replace(old, new), new, margin) for old, new, margin in changes]
    return [candidate.kind for candidate in Suspicion(target(*executed)).ordered(found)]


def test_a_change_of_what_no_failing_test_executes_comes_last() -> None:
    changes = ("return 1", "return 3", 0.0), ("w < 2", "w > 2", -1.0), ("* 2", "* 3", -2.0)
    assert order((13, 15, 16, 19), *changes) == ["w > 2", "* 3", "return 3"]
    assert order((13, 14), *changes) == ["return 3", "w > 2", "* 3"]


def test_without_a_trace_the_margin_decides() -> None:
    changes = ("* 2", "* 3", -2.0), ("return 1", "return 3", 0.0)
    assert order((), *changes) == ["return 3", "* 3"]


def test_the_head_of_a_function_is_never_held_back() -> None:
    assert order((13,), ("return 1", "return 3", -1.0), ("(w)", "(w=1)", -2.0)) == ["(w=1)", "return 3"]


def test_a_line_between_belongs_to_its_neighbours() -> None:
    new = "        print(w)\n        return 1"
    assert order((13, 19), ("        return 1", new, 0.0), ("return total", "return w", -1.0)) == ["return w", new]


def test_what_does_not_parse_is_left_in_order() -> None:
    broken = target(13).model_copy(update={"text": "def f(:\n"})
    found = [Candidate("a", "a", -1.0), Candidate("b", "b", 0.0)]
    assert [c.kind for c in Suspicion(broken).ordered(found)] == ["b", "a"]
