from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from loom_jupyter import Loom
from loom_jupyter.context.context_map import Rewrite
from loom_jupyter.context.index import Index
from loom_jupyter.edits.apply import apply
from loom_jupyter.events import RunState
from loom_jupyter.gate.request import touches_secret
from loom_jupyter.models.protocol import Alternative, TokenScore
from loom_jupyter.runs.task_environment import whole
from loom_jupyter.settings import Settings

TOKEN = "gh" + "p_" + "a1B2c3D4e5" * 3 + "f6G7h8"
SOURCE = f'def connect(n):\n    key = "{TOKEN}"\n    return open_it(key, n - 1)\n'


def test_a_masked_line_is_kept_and_may_not_be_changed(tmp_path: Path) -> None:
    root = tmp_path / "work"
    root.mkdir()
    (root / "a.py").write_text(SOURCE)
    index = Index(root, Settings(), tmp_path)
    ledger = index.rank("connect one too few")
    (target, *_) = index.map(ledger, index.offers(ledger), 2000).targets
    assert TOKEN not in target.text
    mended = Rewrite(target=target, text=target.text.replace("n - 1", "n"))
    assert not touches_secret(mended)
    (change,) = apply([mended], root)
    assert change.after.decode() == SOURCE.replace("n - 1", "n")
    assert touches_secret(Rewrite(target=target, text=target.text.replace("key = ", "token = ")))


@pytest.mark.parametrize(
    ("path", "text", "one"),
    [
        (
            "pyproject.toml",
            '[project]\nname = "p"\n<<<<<<< HEAD\nversion = "1"\n=======\nversion = "2"\n>>>>>>> x\n',
            True,
        ),
        ("pyproject.toml", '[project]\nname = "p"\nversion = "2"\n', False),
        ("a.json", '{"name": "p", "version": ,\n "more": 1}\n', True),
    ],
)
def test_settings_that_do_not_parse_are_one_unit(tmp_path: Path, path: str, text: str, one: bool) -> None:
    root = tmp_path / "work"
    root.mkdir()
    (root / path).write_text(text)
    index = Index(root, Settings(), tmp_path)
    offers = whole(index.offers(index.rank("the version of the project", tagged=[path])), root)
    assert offers
    assert all((offer.symbol is None, offer.start) == (True, 1) for offer in offers) is one


def test_a_short_file_of_stubs_is_one_unit(tmp_path: Path) -> None:
    root = tmp_path / "work"
    root.mkdir()
    (root / "codec.py").write_text("def encode(text):\n    pass\n\n\ndef decode(text):\n    pass\n")
    (root / "other.py").write_text("def encode_all(texts):\n    return [encode(t) for t in texts]\n")
    index = Index(root, Settings(), tmp_path)
    found = whole(index.offers(index.rank("encode decode")), root)
    assert sorted((o.path, o.symbol, o.start, o.end) for o in found) == [
        ("codec.py", None, 1, 6),
        ("other.py", "encode_all", 1, 2),
    ]
    (root / "codec.py").write_text((root / "codec.py").read_text() + "x = 1\n" * 100)
    assert all(o.symbol for o in whole(index.offers(index.rank("encode decode")), root))


def test_a_unit_that_needs_more_than_the_usual_room_is_read_and_patched(
    tmp_path: Path, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = "".join(f"    line_{n} = 'something rather long to be read'\n" for n in range(300))
    (tmp_path / "tariff.py").write_text(f"def tariff(weight):\n{body}    return weight < 2\n")
    plan = json.dumps({"intent": "change", "goal": "2 is small", "acceptance": [], "terms": []})
    patch = "<<<<<<< SEARCH\n    return weight < 2\n=======\n    return weight <= 2\n>>>>>>> REPLACE"
    model = scripted([plan, patch])

    @contextmanager
    def acquire(*_: Any, **__: Any) -> Iterator[Any]:
        yield model

    monkeypatch.setattr("loom_jupyter.models.host.acquire", acquire)
    run = Loom(tmp_path).run("tariff(2) should be True")
    assert run.wait(60)
    assert run.state is RunState.REVIEW, run.error
    assert "+    return weight <= 2" in run.proposal.diff  # type: ignore[union-attr]
    made = next(event for event in run.events() if event.type == "map")
    assert 900 < made.tokens < 8192


def test_a_run_whose_explorer_looks_around_is_replayed(
    tmp_path: Path, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.loom]\nexpand = true\n")
    others = "".join(f"def charged_weight_{n}(weight):\n    return round(weight, {n})\n\n\n" for n in range(12))
    (tmp_path / "a.py").write_text(f"{others}def charged_weight(n):\n    return zoo(n)\n")
    (tmp_path / "b.py").write_text("def zoo(n):\n    return n\n")
    plan = json.dumps({"intent": "change", "goal": "round", "acceptance": [], "terms": []})

    def look(messages: Any) -> str:
        line = next(x for x in messages[1]["content"].splitlines() if "def charged_weight(" in x)
        ident = line.partition(":")[0]
        return json.dumps({"targets": [ident], "look": [f"callees of {ident}"]})

    def choose(messages: Any) -> str:
        assert "called by charged_weight" in messages[-1]["content"]
        return json.dumps({"targets": ["e1"], "look": []})

    model = scripted([plan, look, choose, "def zoo(n):\n    return round(n)\n"])
    model.score = None

    @contextmanager
    def acquire(*_: Any, **__: Any) -> Iterator[Any]:
        yield model

    monkeypatch.setattr("loom_jupyter.models.host.acquire", acquire)
    loom = Loom(tmp_path)
    run = loom.run("charged_weight should be rounded")
    assert run.wait(60)
    assert run.state is RunState.REVIEW, run.error
    assert "+    return round(n)" in run.proposal.diff  # type: ignore[union-attr]
    assert loom.replay(run.id).same


def test_a_check_that_passes_already_makes_no_small_change_a_repair(
    tmp_path: Path, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "price.py").write_text("def price(weight):\n    if weight < 2:\n        return 1\n    return 2\n")
    plan = json.dumps({"intent": "change", "goal": "say who", "acceptance": [], "terms": []})
    new = "def price(weight):\n    print(weight)\n    if weight < 2:\n        return 1\n    return 2\n```"
    doubt = TokenScore(0, 0, "def", -2.0, (Alternative(7, "from", -1.0),))
    model = scripted([plan, new], scores=[doubt])

    @contextmanager
    def acquire(*_: Any, **__: Any) -> Iterator[Any]:
        yield model

    monkeypatch.setattr("loom_jupyter.models.host.acquire", acquire)
    run = Loom(tmp_path).run("let price print the weight", check="true")
    assert run.wait(60)
    assert run.state is RunState.REVIEW, run.error
    assert run.proposal is not None
    assert run.proposal.passed is None
    assert "+    print(weight)" in run.proposal.diff
