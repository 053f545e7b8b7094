"""What judges is never what is changed: whole runs whose model proposes to empty the failing test."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from loom_jupyter import Loom
from loom_jupyter.events import RunState
from loom_jupyter.models.protocol import Message

PRICES = "def price(weight):\n    return 7.2\n"
MENDED = "def price(weight):\n    return 4.9 if weight <= 2 else 7.2\n"
TEST = (
    "from prices import price\n\n\ndef test_bound():\n    assert price(2) == 4.9\n\n\n"
    "def test_more():\n    assert price(3) == 7.2\n"
)
UNITTEST = (
    "import unittest\nfrom prices import price\n\n\nclass Bound(unittest.TestCase):\n    def test_bound(self):\n"
    "        self.assertEqual(price(2), 4.9)\n\n\nif __name__ == '__main__':\n    unittest.main()\n"
)
SCRIPT = (
    "import sys\nsys.path.insert(0, '.')\nfrom prices import price\n\n\ndef bound():\n    assert price(2) == 4.9"
    "\n\n\nbound()\n"
)
HARNESS = (
    "import sys\nsys.path.insert(0, '.')\nfrom prices import price\n\n\ndef main():\n    wrong = price(2) != 4.9\n"
    "    print('wrong' if wrong else 'right')\n    return int(wrong)\n\n\n"
    "if __name__ == '__main__':\n    sys.exit(main())\n"
)
PLAN = json.dumps({"intent": "change", "goal": "2 kg is small", "acceptance": [], "terms": ["bound", "price"]})

Answers = Callable[..., Any]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch, scripted: Any) -> Answers:
    """Let the model empty whatever it is shown that is not the program, and repair the program if it may."""

    def put(
        *,
        solves: bool = True,
        plan: str = PLAN,
        test: str | None = None,
        late: Callable[[Any], None] | None = None,
    ) -> Any:
        def reply(messages: list[Message]) -> str:
            asked = messages[1]["content"]
            if "```" not in asked:
                return json.dumps({"targets": ["s1", "s2", "s3"]})
            if late is not None:
                late(messages)
            # What is to be written again stands last.
            unit = asked.rpartition("Rewrite ")[0].rpartition("```")[0].rpartition("```")[2]
            if "def price" in unit:
                return f"{MENDED if solves else PRICES.replace('7.2', '7.3')}```"
            return f"{test or emptied(unit)}```"

        model = scripted([plan, *[reply] * 200])

        @contextmanager
        def acquire(*_: Any, **__: Any) -> Iterator[Any]:
            yield model

        monkeypatch.setattr("loom_jupyter.models.host.acquire", acquire)
        return model

    return put


def emptied(asked: str) -> str:
    for line in asked.splitlines():
        if line.lstrip().startswith("def "):
            return f"{line.strip()}\n    pass\n"
    return "pass\n"


def project(root: Path, files: dict[str, str]) -> Path:
    for name, text in {"prices.py": PRICES, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def touched(run: Any) -> set[str]:
    """Return every file that the run's map or candidates or proposal would have changed."""
    made = (
        json.loads((run.folder / "map.json").read_text())
        if (run.folder / "map.json").exists()
        else {"targets": []}
    )
    places = {target["path"] for target in made["targets"]}
    places |= {event.place.split(" ")[0].split("::")[0] for event in run.events() if event.type == "candidate"}
    return places | set(run.proposal.diffs if run.proposal else ())


CASES = [
    ("test.py", TEST, "python -m pytest -q test.py", "test.py fails: test_bound"),
    ("tests.py", TEST, "python -m pytest -q tests.py", "tests.py fails in test_bound, repair it"),
    ("shop/tests.py", UNITTEST, "python -m unittest shop.tests", "the Bound test in shop/tests.py fails"),
    ("test.py", UNITTEST, "python test.py", "fix test.py"),
    ("checks/verify.py", SCRIPT, "python checks/verify.py", "checks/verify.py bound fails"),
    ("verify.py", HARNESS, "python verify.py", "verify.py says wrong"),
    ("run.py", SCRIPT, "PYTHONPATH=. python run.py", "run.py bound fails, make it pass"),
    ("checks/prices_ok.py", TEST, "pytest -q checks/prices_ok.py", "make test_bound in checks/prices_ok.py pass"),
    ("ok.py", TEST, "pytest -q -o python_files=ok.py", "test_bound in ok.py fails"),
    ("ok.py", UNITTEST, "python -m unittest ok", "ok.Bound.test_bound fails"),
    ("ok.py", UNITTEST, "python -m unittest discover -p 'ok*.py'", "ok.Bound.test_bound fails"),
]


@pytest.mark.parametrize(
    ("path", "text", "check", "words", "solves"),
    [*((*case, True) for case in CASES), *((*case, False) for case in CASES[::3])],
)
def test_no_candidate_touches_what_fails(
    tmp_path: Path, answers: Answers, path: str, text: str, check: str, words: str, solves: bool
) -> None:
    answers(solves=solves)
    run = Loom(project(tmp_path / "work", {path: text})).run(
        words, check=check, tagged=[path], budget=6 if solves else 3
    )
    assert run.wait(90)
    assert touched(run) <= {"prices.py"}
    assert (run.proposal is not None and run.proposal.passed is True) is solves
    assert (tmp_path / "work" / path).read_text() == text


@pytest.mark.parametrize(
    ("words", "test", "let_through"),
    [
        ("update the test: 2 kg costs 5.1 now", "def test_bound():\n    assert price(2) == 5.1\n", True),
        ("update the test test_bound", "def test_bound():\n    pass\n", False),
        ("update the test test_bound", "def test_bound():\n    assert price(2)\n", False),
    ],
)
def test_a_test_is_changed_where_the_words_ask_for_it_and_never_applied_unseen(
    tmp_path: Path, answers: Answers, words: str, test: str, let_through: bool
) -> None:
    root = project(tmp_path / "work", {"test_prices.py": TEST, "prices.py": PRICES.replace("7.2", "5.1")})
    (root / "test_prices.py").write_text(TEST.partition("def test_more")[0].rstrip() + "\n")
    before = (root / "test_prices.py").read_text()
    answers(test=test, solves=False)
    run = Loom(root).run(words, check="python -m pytest -q", tagged=["test_prices.py"], apply=True, budget=6)
    assert run.wait(90)
    assert (root / "test_prices.py").read_text() == before
    if let_through:
        assert run.state is RunState.REVIEW
        assert run.proposal is not None
        assert list(run.proposal.diffs) == ["test_prices.py"]
        notices = [event.text for event in run.events() if event.type == "notice"]
        assert any("test_prices.py, which the check judges by" in text for text in notices)
    else:
        assert run.state is not RunState.ACCEPTED
        diff = run.proposal.diff if run.proposal else ""
        assert f"+{test.splitlines()[1]}" not in diff.splitlines()


def test_a_run_is_not_applied_on_tests_that_changed_meanwhile(tmp_path: Path, answers: Answers) -> None:
    root = project(tmp_path / "work", {"test_prices.py": TEST})

    def late(_: Any) -> None:
        (root / "test_prices.py").write_text(f"{TEST}\n\ndef test_zero():\n    assert price(0) == 0\n")

    answers(late=late)
    run = Loom(root).run("2 kg costs 4.9", check="python -m pytest -q", apply=True, budget=10)
    assert run.wait(90)
    assert run.state is RunState.REVIEW
    assert (root / "prices.py").read_text() == PRICES
    assert any("test_prices.py has changed" in e.text for e in run.events() if e.type == "notice")


@pytest.mark.parametrize("value", ["4.9", "7.2"])
def test_tests_follow_a_rename_and_change_in_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scripted: Any, value: str
) -> None:
    root = project(
        tmp_path / "work", {"prices.py": MENDED, "test_prices.py": TEST.partition("\n\n\ndef test_more")[0]}
    )
    cost = MENDED.replace("price", "cost")
    test = f"from prices import cost\n\n\ndef test_bound():\n    assert cost(2) == {value}\n"

    def reply(messages: list[Message]) -> str:
        asked = messages[1]["content"]
        if "```" not in asked:
            return json.dumps({"targets": ["s1", "s2"]})
        unit = asked.rpartition("Rewrite ")[0].rpartition("```")[0].rpartition("```")[2]
        if "def price" in unit:
            return f"{cost}```"
        return f"{test if 'import' in unit else test.partition(chr(10) * 3)[2]}```"

    model = scripted([PLAN.replace("2 kg is small", "rename price to cost"), *[reply] * 100])

    @contextmanager
    def acquire(*_: Any, **__: Any) -> Iterator[Any]:
        yield model

    monkeypatch.setattr("loom_jupyter.models.host.acquire", acquire)
    run = Loom(root).run(
        "rename price to cost everywhere", check="python -m pytest -q", tagged=["test_prices.py"], budget=8
    )
    assert run.wait(90)
    made = json.loads((run.folder / "map.json").read_text())
    assert {target["path"] for target in made["targets"]} == {"prices.py", "test_prices.py"}
    assert run.state is RunState.REVIEW
    assert "assert cost(2) == 7.2" not in (run.proposal.diff if run.proposal else "")


@pytest.mark.parametrize("path", ["conftest.py", "sitecustomize.py", "pytest.toml"])
def test_nothing_that_judges_is_created_unasked(tmp_path: Path, answers: Answers, path: str) -> None:
    root = project(tmp_path / "work", {"test_prices.py": TEST})
    answers(plan=PLAN.replace('"change"', '"create"'))
    run = Loom(root).run(
        f"the test of 2 kg fails, perhaps {path} is missing", check="python -m pytest -q", budget=4
    )
    assert run.wait(90)
    assert path not in touched(run)
    assert "is not changed" in (run.error or "")
