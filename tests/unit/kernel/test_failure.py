from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest

from loom_jupyter.kernel.traceback import MESSAGE_CHARS, failure, statement
from loom_jupyter.notebook_state import Failure

TOKEN = "gh" + "p_" + "a1B2c3D4e5" * 3 + "f6G7h8"
CAUGHT = "from parcels.zones import zone\ntry:\n    zone('x')\nexcept ValueError as e:\n"


def failed(notebook: Any, source: str) -> Failure:
    notebook.run(source)
    found = notebook.tracker.last_exception(notebook.root)
    assert found is not None
    return found


def test_frames_are_those_of_workspace_and_cells_with_the_variables_they_name(notebook: Any) -> None:
    found = failed(notebook, "from parcels.label import label\nlabel('Jo', 'Street', 'us', '3')")
    assert found.title == "ValueError: Unknown format code 'f' for object of type 'str'"
    cell, inner = found.frames
    assert (cell.cell, cell.line, cell.text) == (1, 2, "label('Jo', 'Street', 'us', '3')")
    assert (inner.path, inner.line, inner.function) == ("parcels/label.py", 14, "label")
    assert inner.text == 'lines.append(f"{weight:.1f} kg  zone {zone(country)}")'
    assert [str(v) for v in inner.variables] == ["lines: list of 3, str", "weight: str of 1", "country: str of 2"]
    assert not found.in_cell


def test_libraries_are_left_out_and_a_statement_of_several_lines_is_whole(notebook: Any) -> None:
    found = failed(notebook, "import json\nx = (\n    json.loads(\n    '{')\n)")
    (frame,) = found.frames
    assert frame.text == "x = ( json.loads( '{') )"
    assert found.type == "json.decoder.JSONDecodeError" or found.type == "json.JSONDecodeError"
    assert found.in_cell


def test_what_a_function_refuses_is_the_cells_fault(notebook: Any) -> None:
    found = failed(notebook, "from parcels.tariff import parcel_price\nparcel_price(0)")
    assert found.frames[-1].refuses
    assert found.in_cell


def test_what_a_function_refuses_from_another_is_the_workspaces_fault(notebook: Any) -> None:
    found = failed(notebook, "from parcels.zones import surcharge\nsurcharge('Germany')")
    assert [f.function for f in found.in_workspace] == ["surcharge", "zone"]
    assert not found.in_cell


def test_a_cause_comes_after_what_it_led_to(notebook: Any) -> None:
    source = f"{CAUGHT}    raise KeyError('a') from e"
    found = failed(notebook, source)
    assert found.title == "KeyError: 'a'"
    assert found.frames[-1].path == "parcels/zones.py"


def test_a_syntax_error_has_a_frame(notebook: Any) -> None:
    found = failed(notebook, "x = 1\ny = = 2")
    assert found.title == "SyntaxError: invalid syntax"
    assert [(f.cell, f.line, f.text) for f in found.frames] == [(1, 2, "y = = 2")]


def test_a_syntax_error_in_a_module_is_the_workspaces(notebook: Any) -> None:
    (notebook.root / "broken.py").write_text("def f(:\n")
    found = failed(notebook, "import broken")
    assert (found.frames[-1].path, found.frames[-1].line) == ("broken.py", 1)
    assert not found.in_cell


def test_a_comprehension_belongs_to_its_function(notebook: Any) -> None:
    source = "def f(n):\n    def g(x):\n        return [1 / y for y in x]\n    return [g(i) for i in [n]]\nf([0])"
    found = failed(notebook, source)
    assert [(f.function, f.line) for f in found.frames] == [("<module>", 5), ("f", 4), ("f.g", 3)]


def test_a_message_is_bounded_and_without_secrets(notebook: Any) -> None:
    found = failed(notebook, f"raise ValueError('{TOKEN} ' + 'x' * 10**6)")
    assert TOKEN not in found.model_dump_json()
    assert len(found.message) == MESSAGE_CHARS


def test_a_message_that_raises_is_none() -> None:
    class OddError(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    assert failure(OddError(), {}).message == ""


def test_a_group_leads_to_its_first_exception(notebook: Any) -> None:
    source = f"{CAUGHT}    raise ExceptionGroup('g', [e])"
    assert failed(notebook, source).frames[-1].path == "parcels/zones.py"


def test_no_frame_is_kept() -> None:
    class Big:
        pass

    def fail() -> weakref.ref[Big]:
        big = Big()
        try:
            raise ValueError(str(type(big)))
        except ValueError as error:
            failure(error, {})
        return weakref.ref(big)

    kept = fail()
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "if a:"), (2, "f( 1, 2)"), (3, "f( 1, 2)"), (9, ""), (0, "")],
)
def test_the_statement_of_a_line(number: int, text: str) -> None:
    lines = ["if a:\n", "    f(\n", "      1, 2)\n"]
    assert statement(lines, number)[0] == text


def test_a_statement_of_what_does_not_parse_is_its_line(tmp_path: Path) -> None:
    assert statement(["x = = 2\n"], 1) == ("x = = 2", None)
