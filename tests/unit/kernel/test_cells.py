from __future__ import annotations

from typing import Any

from loom_jupyter.kernel.cells import LINES, MAX_CELLS, earlier, executed
from loom_jupyter.kernel.modules import placed


def found(notebook: Any, wanted: list[str], always: tuple[int, ...] = ()) -> list[tuple[int, tuple[str, ...]]]:
    names = notebook.shell.user_ns
    so_far = list(executed(names, notebook.shell.execution_count))
    return [(c.number, c.names) for c in earlier(so_far, wanted, always, names, placed(notebook.root))]


def test_cells_that_share_most_names_come_first_then_the_newest(notebook: Any) -> None:
    for source in ("orders = []", "price = 3", "orders.append(price)", "other = 1", "orders"):
        notebook.run(source)
    assert found(notebook, ["orders", "price"]) == [
        (3, ("orders", "price")),
        (5, ("orders",)),
        (2, ("price",)),
        (1, ("orders",)),
    ]


def test_a_name_is_a_whole_word(notebook: Any) -> None:
    notebook.run("price_list = 1")
    assert found(notebook, ["price"]) == []
    assert found(notebook, ["price"], always=(1,)) == [(1, ())]


def test_the_functions_of_the_workspace_that_a_cell_calls(notebook: Any) -> None:
    notebook.run("import parcels.zones as z\nfrom parcels.order import Order\no = Order('Jo')")
    notebook.run("z.zone('us')\no.net()\nOrder('Ann')\nprint(len('x'))\n%time 1")
    names = notebook.shell.user_ns
    cells = earlier(list(executed(names, 3)), ["o"], (), names, placed(notebook.root))
    assert cells[0].calls == (
        ("parcels/zones.py", "zone"),
        ("parcels/order.py", "Order.net"),
        ("parcels/order.py", "Order"),
    )


def test_cells_are_bounded(notebook: Any) -> None:
    for n in range(MAX_CELLS + 5):
        notebook.run(f"big = {n}\n" * 100)
    names = notebook.shell.user_ns
    cells = earlier(list(executed(names, 30)), ["big"], (), names, placed(notebook.root))
    assert len(cells) == MAX_CELLS
    assert all(cell.source.count("\n") == LINES and cell.source.endswith("…") for cell in cells)
