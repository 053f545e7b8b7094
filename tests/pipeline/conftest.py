"""A environment and an observer that remember, for the nodes' tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from loom_jupyter.context.context_map import ContextMap, Offer, Relation, Rewrite, Target
from loom_jupyter.models.protocol import Usage
from loom_jupyter.pipeline.contracts import Node, TaskSpec, Trial

UNIT = "def price(w):\n    if w < 2:\n        return 1\n    return 2\n"


class Heard:
    """An observer that remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def started(self, node: Node, note: str = "") -> None:
        self.told.append(("started", node))

    def text(self, node: Node, piece: str) -> None:
        self.told.append(("text", node, piece))

    def usage(self, node: Node, usage: Usage) -> None:
        self.told.append(("usage", node))

    def repaired(self, node: Node, note: str) -> None:
        self.told.append(("repaired", node, note))

    def finished(self, node: Node, summary: str, data: dict[str, Any]) -> None:
        self.told.append(("finished", node, summary))

    def planned(self, spec: TaskSpec) -> None:
        self.told.append(("planned", spec))

    def candidate(self, number: int, limit: int, place: str, kind: str, verdict: str, *rest: Any) -> None:
        self.told.append(("candidate", number, limit, kind, verdict))

    def all(self, what: str) -> list[tuple[Any, ...]]:
        return [entry for entry in self.told if entry[0] == what]


def offer(n: int) -> Offer:
    return Offer(
        id=f"s{n}",
        path=f"f{n}.py",
        symbol="price",
        kind="function",
        start=1,
        end=4,
        signature="def price(w):",
        evidence="price",
        score=10.0 - n,
    )


class Desk:
    """Three offers, and a trial that a test decides."""

    checked = False
    expands = False

    def __init__(self, judge: Callable[[str], Trial] | None = None, offers: int = 3) -> None:
        self.judge = judge or (lambda text: Trial(passed="<= 2" in text, reason="1 failed"))
        self.tried: list[Rewrite] = []
        self._offers = [offer(n) for n in range(1, offers + 1)]

    def offers(self, spec: TaskSpec) -> Sequence[Offer]:
        return self._offers

    def expand(self, asked: Sequence[tuple[Offer, Relation]]) -> Sequence[Offer]:
        return []

    def map(self, spec: TaskSpec, chosen: Sequence[Offer]) -> ContextMap:
        targets = tuple(
            Target(id=o.id, path=o.path, symbol=o.symbol, kind=o.kind, start=1, end=4, sha256="0" * 64, text=UNIT)
            for o in chosen
        )
        return ContextMap(query="", targets=targets, excerpts=(), omitted=(), tokens=100)

    def trial(self, rewrites: Sequence[Rewrite]) -> Trial:
        self.tried += rewrites
        if rewrites[0].text == rewrites[0].target.text:
            return Trial(passed=False, gate=True, reason="unchanged")
        return self.judge(rewrites[0].text)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def environment() -> type[Desk]:
    return Desk


@pytest.fixture
def unit() -> str:
    return UNIT
