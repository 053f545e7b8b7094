from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loom_jupyter.context.index import Index
from loom_jupyter.context.ledger import Ledger
from loom_jupyter.context.notebook_evidence import excerpts, share
from loom_jupyter.notebook_state import NOTEBOOK, Cell, Failure, Frame, Loaded, NotebookState, Variable
from loom_jupyter.settings import Settings

REQUEST = "the price of an order is wrong"


@pytest.fixture
def index(sample: Path, tmp_path: Path) -> Index:
    return Index(sample, Settings(), tmp_path / "data")


def frame(function: str, path: str, line: int, **more: Any) -> Frame:
    return Frame(function=function, path=path, line=line, text="f()", **more)


FAILED = Failure(
    type="parcels.tariff.TooHeavy",
    message="31 kg",
    frames=(
        Frame(function="<module>", cell=5, line=1, text="order.net()"),
        frame("Order.net", "parcels/order.py", 37),
        frame("Parcel.price", "parcels/order.py", 24),
        frame("parcel_price", "parcels/tariff.py", 23),
    ),
)


def rows(ledger: Ledger, rule: str) -> list[tuple[str, float, int | None, str | None]]:
    return [(r.path, r.points, r.line, r.symbol) for r in ledger.rows if r.rule == rule]


def test_frames_count_by_depth_the_innermost_most(index: Index) -> None:
    ledger = index.rank(REQUEST, notebook=NotebookState(failure=FAILED))
    found = sorted(rows(ledger, "in the traceback"), key=lambda row: -row[1])
    assert [(path, line, symbol) for path, _, line, symbol in found] == [
        ("<notebook>", None, None),
        ("parcels/tariff.py", 23, "parcel_price"),
        ("parcels/order.py", 24, "Parcel.price"),
        ("parcels/order.py", 37, "Order.net"),
    ] or found[0][0] == "parcels/tariff.py"
    points = {(path, line): p for path, p, line, _ in found}
    assert points["parcels/tariff.py", 23] == 20
    assert points["parcels/order.py", 24] == 10
    assert points["parcels/order.py", 37] == pytest.approx(20 / 3, abs=0.01)
    assert points[NOTEBOOK, None] == 20


def test_the_points_of_every_file_add_up_exactly(index: Index) -> None:
    state = NotebookState(
        failure=FAILED,
        modules=(Loaded(path="parcels/order.py", direct=True), Loaded(path="parcels/zones.py")),
        cells=(Cell(number=3, source="discount(3)", names=("order",), calls=(("parcels/order.py", "discount"),)),),
        variables=(Variable(name="order", type="Order", path="parcels/order.py", symbol="Order"),),
    )
    ledger = index.rank(REQUEST, notebook=state)
    for path, score in ledger.scores:
        assert sum(r.points for r in ledger.evidence(path)) == score
    assert [s for _, s in ledger.scores] == sorted((s for _, s in ledger.scores), reverse=True)
    assert ("parcels/order.py", 4.0, None, None) in rows(ledger, "loaded here")
    assert ("parcels/zones.py", 2.0, None, None) in rows(ledger, "loaded here")
    assert ("parcels/order.py", 4.0, 43, "discount") in rows(ledger, "earlier cell")
    assert rows(ledger, "live variable") == [("parcels/order.py", 8.0, 26, "Order")]
    again = Ledger.from_json(ledger.to_json())
    assert again.rows == ledger.rows
    told = {row["rule"]: row["family"] for file in ledger.top() for row in file["rows"]}
    assert {told[rule] for rule in ("in the traceback", "live variable", "earlier cell", "loaded here")} == {
        "notebook"
    }


def test_data_and_cells_are_rows_of_the_notebook_itself(index: Index) -> None:
    state = NotebookState(
        variables=(Variable(name="orders", type="pandas.DataFrame", shape=(3, 2)),),
        cells=(Cell(number=2, source="orders = load()", names=("orders",)),),
    )
    ledger = index.rank(REQUEST, notebook=state)
    assert [(r.rule, r.points, r.detail) for r in ledger.evidence(NOTEBOOK)] == [
        ("live variable", 8.0, "orders: pandas.DataFrame 3 × 2"),
        ("earlier cell", 4.0, "In [2] shares orders"),
    ]
    assert all(symbol.path != NOTEBOOK for symbol in ledger.ranked_symbols)
    assert NOTEBOOK in ledger.why(NOTEBOOK)
    assert NOTEBOOK in ledger._repr_html_() or "&lt;notebook&gt;" in ledger._repr_html_()


def test_without_a_notebook_the_ledger_is_as_it_was(index: Index) -> None:
    assert index.rank(REQUEST).to_json() == index.rank(REQUEST, notebook=NotebookState()).to_json()


def test_paths_that_are_not_indexed_are_left_out(index: Index) -> None:
    ledger = index.rank(REQUEST, notebook=NotebookState(modules=(Loaded(path="gone.py", direct=True),)))
    assert not rows(ledger, "loaded here")


def test_an_exception_that_happened_long_ago_counts_less_unless_it_is_named() -> None:
    old = FAILED.model_copy(update={"age": 3})
    assert share(FAILED, REQUEST) == 1
    assert share(old, REQUEST) == 0.25
    assert share(old, REQUEST, asked=True) == 1
    assert share(old, "why TooHeavy?") == 1
    assert share(old, "parcel_price is wrong") == 1
    assert share(old, "`price` is wrong") == 1


def test_points_are_the_users_to_change(sample: Path, tmp_path: Path) -> None:
    index = Index(sample, Settings(rules={"in the traceback": 2, "live variable": 0}), tmp_path / "data")
    state = NotebookState(failure=FAILED, variables=(Variable(name="orders", type="list"),))
    ledger = index.rank(REQUEST, notebook=state)
    assert max(points for _, points, _, _ in rows(ledger, "in the traceback")) == 2
    assert not rows(ledger, "live variable")


def test_the_function_that_raised_is_offered_first(index: Index) -> None:
    request = "this should work"
    state = NotebookState(failure=FAILED)
    (first, *_) = index.offers(index.rank(request, notebook=state))
    assert (first.path, first.symbol) == ("parcels/tariff.py", "parcel_price")
    assert first.evidence.startswith("in the traceback")


# --- what the nodes read ---


def test_excerpts_take_a_third_of_the_budget(index: Index) -> None:
    cells = tuple(Cell(number=n, source=f"orders = [{n}]\n" * 8, names=("orders",)) for n in range(1, 6))
    state = NotebookState(failure=FAILED, cells=cells)
    ledger = index.rank(REQUEST, notebook=state)
    packed = index.map(ledger, index.offers(ledger, 1), 700, None, excerpts(state, REQUEST))
    own = [e for e in packed.excerpts if e.path == NOTEBOOK]
    assert own[0].symbol == "last exception"
    assert own[0].text.endswith("parcels.tariff.TooHeavy: 31 kg\n")
    assert 1 < len(own) < 6
    assert {o.reason for o in packed.omitted if o.path == NOTEBOOK} == {"no room: shares orders"}
    assert packed.tokens <= 700
    assert packed.targets


def test_a_task_made_from_an_exception_does_not_repeat_it() -> None:
    cell = Cell(number=5, source="order.net()")
    assert [e.symbol for e in excerpts(NotebookState(failure=FAILED, cells=(cell,), fix=True), REQUEST)] == [
        "In [5]"
    ]


def test_an_old_exception_is_not_read() -> None:
    old = NotebookState(failure=FAILED.model_copy(update={"age": 3}))
    assert excerpts(old, REQUEST) == []
