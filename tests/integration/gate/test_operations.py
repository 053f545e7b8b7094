"""Adding and removing by name: what the words ask for, and runs that do it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from loom_jupyter import Loom
from loom_jupyter.context.intent import Operation, operation
from loom_jupyter.events import RunState

PLAN = json.dumps({"intent": "change", "goal": "as asked", "acceptance": [], "terms": []})


def choose(messages: Any) -> str:
    """Choose the cell that makes the totals."""
    line = next(x for x in messages[1]["content"].splitlines() if "totals = " in x)
    return json.dumps({"targets": [line.partition(":")[0]]})


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("add a function `heavy` beside parcel_price", Operation("add", "heavy", "parcel_price")),
        (
            "Add a new helper function called is_heavy(weight) next to `parcel_price()`",
            Operation("add", "is_heavy", "parcel_price"),
        ),
        ("write a method total after Order.net that sums", Operation("add", "total", "Order.net")),
        ("Implement class Box in tariff.py", Operation("add", "Box")),
        ("remove the function discount", Operation("remove", "discount")),
        (
            "Delete the unused `volume_weight` function from parcels/tariff.py.",
            Operation("remove", "volume_weight"),
        ),
        ("please drop the method Order.gross", Operation("remove", "Order.gross")),
        ("Add a new cell that plots x", Operation("add")),
        ("could you add a function called that", Operation("add", "that")),
        ("write a function `returning`", Operation("add", "returning")),
        ("add a function double that doubles x", Operation("add", "double")),
    ],
)
def test_what_is_added_or_removed_by_name(words: str, found: Operation) -> None:
    assert operation(words) == found


@pytest.mark.parametrize(
    "words",
    [
        "remove the discount from the total",
        "remove `discount()` from the price",
        "remove the function discount and add a rebate",
        "delete the last line of parcel_price",
        "add a parameter to parcel_price",
        "the function discount removes too much",
        "add 5 to the price",
        "add a function that doubles x",
        "write a function to double x",
        "Add a method returning the total",
        "The text is read. Write a function called encode that writes it.",
    ],
)
def test_all_else_is_a_change(words: str) -> None:
    assert operation(words) is None


@pytest.fixture
def provide_model(monkeypatch: pytest.MonkeyPatch, scripted: Any) -> Callable[[list[Any]], Any]:
    """Put a model that says this in the place of the process's model; returns it."""

    def put(replies: list[Any]) -> Any:
        model = scripted(replies)

        @contextmanager
        def acquire(*_: Any, **__: Any) -> Iterator[Any]:
            yield model

        monkeypatch.setattr("loom_jupyter.models.host.acquire", acquire)
        return model

    return put


def done(root: Path, task: str, **options: Any) -> Any:
    run = Loom(root).run(task, **options)
    assert run.wait(60)
    assert run.state is RunState.REVIEW, run.error
    run.accept()
    return run


HEAVY = "def is_heavy(weight):\n    return math.floor(weight) > 20\n"


def test_a_function_is_added_beside_another(sample: Path, provide_model: Callable[[list[Any]], Any]) -> None:
    file = sample / "parcels/tariff.py"
    before = file.read_text()
    # It repeats the neighbour, as small models do, and forgets the import.
    model = provide_model([PLAN, lambda m: f"def parcel_price(weight):\n    return 1\n\n\n{HEAVY}"])
    done(sample, "Add a function is_heavy(weight) beside `parcel_price` that says whether it is above 20 kg")
    after = file.read_text()
    neighbour = before[before.index("def parcel_price") : before.index("def volume_weight")].rstrip("\n")
    assert f"{neighbour}\n\n\n{HEAVY}\n\ndef volume_weight" in after
    assert after == before.replace(neighbour, f"{neighbour}\n\n\n{HEAVY.rstrip()}").replace(
        "\n\nSMALL", "\n\nimport math\n\nSMALL"
    )
    assert "right after parcel_price, which stays" in model.prompts[-1][1]["content"]
    assert len(model.prompts) == 2, "what is named is not chosen by the model"


def test_a_method_is_added_with_its_indentation(sample: Path, provide_model: Callable[[list[Any]], Any]) -> None:
    provide_model([PLAN, "def count(self):\n    return len(self.parcels)\n"])
    done(sample, "add a method count after Order.net")
    after = (sample / "parcels/order.py").read_text()
    compile(after, "order.py", "exec")
    at = after.index("    def count(self):\n        return len(self.parcels)\n\n    def gross")
    assert after[:at].endswith("\n\n")
    assert not after[:at].endswith("\n\n\n")


def test_a_new_function_of_another_name_is_refused(
    sample: Path, provide_model: Callable[[list[Any]], Any]
) -> None:
    provide_model([PLAN, "def something():\n    return 1\n"])
    run = Loom(sample).run("add a function is_heavy beside parcel_price")
    assert run.wait(60)
    assert run.state is RunState.FAILED
    assert "1 refused" in str(run.error)


def test_a_function_is_removed_without_the_model_writing(
    sample: Path, provide_model: Callable[[list[Any]], Any]
) -> None:
    file = sample / "parcels/tariff.py"
    file.write_text(file.read_text() + "\n\n@staticmethod\ndef unused():\n    return 1\n")
    before = file.read_text()
    model = provide_model([PLAN])
    run = done(sample, "remove the unused function `unused`")
    assert file.read_text() == before[: before.index("\n\n@staticmethod")]
    assert len(model.prompts) == 1
    run.undo()
    assert file.read_text() == before


def test_what_is_still_used_in_the_file_is_not_removed(
    sample: Path, provide_model: Callable[[list[Any]], Any]
) -> None:
    provide_model([PLAN])
    run = Loom(sample).run("delete the function volume_weight")
    assert run.wait(60)
    assert run.state is RunState.FAILED
    assert "refused" in str(run.error)


def test_the_check_judges_a_removal(sample: Path, provide_model: Callable[[list[Any]], Any]) -> None:
    provide_model([PLAN])
    run = Loom(sample).run("delete the function parcel_price", check="python -c 'import parcels.order'")
    assert run.wait(60)
    assert run.state is not RunState.ACCEPTED
    assert run.proposal is None or run.proposal.passed is False


def test_a_cell_is_added_after_the_one_that_was_chosen(
    tmp_path: Path, provide_model: Callable[[list[Any]], Any]
) -> None:
    book = new_notebook(cells=[new_code_cell("totals = [1, 2]", id="one"), new_code_cell("x = 1", id="two")])
    nbformat.write(book, tmp_path / "n.ipynb")
    provide_model([PLAN, choose, "print(math.fsum(totals))\n"])
    done(tmp_path, "add a new cell that prints the sum of totals")
    after = nbformat.read(tmp_path / "n.ipynb", 4)
    assert [cell.source for cell in after.cells] == [
        "totals = [1, 2]",
        "import math\nprint(math.fsum(totals))",
        "x = 1",
    ]


def test_a_signature_that_others_call_stays_unless_that_was_asked(
    sample: Path, provide_model: Callable[[list[Any]], Any]
) -> None:
    def wider(messages: Any) -> str:
        text = messages[1]["content"]
        unit = str(text[text.rindex("def volume_weight") : text.rindex("\n```")])
        return unit.replace("):", ", factor):").replace("return ", "return factor * ")

    def named(messages: Any) -> str:
        line = next(x for x in messages[1]["content"].splitlines() if "def volume_weight" in x)
        return json.dumps({"targets": [line.partition(":")[0]]})

    (sample / "parcels/caller.py").write_text(
        "from parcels.tariff import volume_weight\n\nX = volume_weight(1, 2, 3)\n"
    )
    for words, state in (
        ("volume_weight is too low", RunState.FAILED),
        ("add an argument to volume_weight", RunState.REVIEW),
    ):
        provide_model([PLAN, named, *[wider] * 9]).score = None
        run = Loom(sample).run(words)
        assert run.wait(60)
        assert run.state is state, run.error
