"""The test that is made of the user's examples: a copy of this file with `EXAMPLES` filled in.

It needs nothing but Python, so that it runs where neither pytest nor Loom is installed. Run as a script it prints
what each example gives now.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib
import inspect
import io
import json
import math
import numbers
import sys
import unittest
from typing import Any

MARK = "loom example: "
EXAMPLES: list[dict[str, Any]] = []
SHORT = 4
"""Decimals up to which a value is what somebody would write in full."""


class _Raised:
    """An exception stands for the value of a call that raises."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __repr__(self) -> str:
        return f"{type(self.error).__name__}: {self.error}"


class _Written(float):
    """A number with a fraction, and how many decimals of it the user wrote."""

    decimals = 0


def written(code: str) -> Any:
    """Read a plain value; its numbers know with how many decimals they are written.

    Raises
    ------
    ValueError, SyntaxError
        If it is more than a plain value.
    """
    ast.literal_eval(code)
    tree = _Decimals(code).visit(ast.parse(code.strip(), mode="eval"))
    return eval(compile(ast.fix_missing_locations(tree), "<example>", "eval"), {"_written": _decimals})


def _decimals(value: float, decimals: int) -> _Written:
    found = _Written(value)
    found.decimals = decimals
    return found


class _Decimals(ast.NodeTransformer):
    """Puts ``_written(1.67, 2)`` in place of 1.67."""

    def __init__(self, code: str) -> None:
        self._code = code.strip()

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        """Take the sign along."""
        return self._known(node, node.operand)

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        """Look at one number."""
        return self._known(node, node)

    def _known(self, node: ast.expr, number: ast.expr) -> ast.expr:
        text = ast.get_source_segment(self._code, number) or ""
        decimals = len(text.partition(".")[2])
        if not isinstance(number, ast.Constant) or type(number.value) is not float or not text[-1:].isdigit():
            return node
        if "e" in text.lower() or not decimals:
            return node
        return ast.Call(ast.Name("_written", ast.Load()), [node, ast.Constant(decimals)], [])


def namespace(example: dict[str, Any]) -> dict[str, Any]:
    """Import what an example names."""
    for folder in example["paths"]:
        if folder not in sys.path:
            sys.path.insert(0, folder)
    names: dict[str, Any] = {}
    for name, module, attribute in example["names"]:
        found = importlib.import_module(module)
        names[name] = getattr(found, attribute) if attribute else found
    home = importlib.import_module(example["module"]) if example["module"] else None
    return {**(vars(home) if home else {}), **names}


def outcome(code: str, names: dict[str, Any]) -> tuple[Any, str]:
    """Return what an expression gives, and what it prints."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            got = eval(code, dict(names))
            return asyncio.run(got) if inspect.iscoroutine(got) else got, printed.getvalue()
    except Exception as error:  # noqa: BLE001 - which one is part of the example
        return _Raised(error), printed.getvalue()


def expected(example: dict[str, Any]) -> dict[str, Any]:
    """Return what a call should give: as the user rounded it, unless what it gives now rounds to the same."""
    wanted, actual = dict(example["expected"]), example["actual"]
    try:
        value = written(wanted["text"])
        wanted["exact"] = actual is not None and same(ast.literal_eval(actual["text"]), value)
    except (ValueError, SyntaxError, TypeError):
        wanted["exact"] = True
    return wanted


def agrees(got: Any, printed: str, wanted: dict[str, Any], names: dict[str, Any]) -> bool:
    """Whether an outcome is the one that the user wrote."""
    text = wanted["text"]
    if wanted["raises"]:
        known = type(got.error).__mro__ if isinstance(got, _Raised) else ()
        return text.rpartition(".")[2] in [one.__name__ for one in known]
    if isinstance(got, _Raised):
        return False
    value, _ = outcome(text, names)
    if not wanted.get("exact", True):
        value = written(text)
    if isinstance(value, _Raised):  # A word such as home, in backticks: what is shown counts.
        return text in (str(got), repr(got), printed.strip())
    if got is None and value is not None and printed:
        return printed.strip() in (str(value), text)
    return same(got, value) or repr(got) == text


def same(got: Any, wanted: Any) -> bool:
    """Compare values; floating-point numbers may differ by rounding, also to the decimals that are written."""
    if isinstance(got, bool) or isinstance(wanted, bool):
        return got is wanted or (type(got) is not type(wanted) and str(got) == str(wanted))
    if isinstance(got, numbers.Real) and isinstance(wanted, numbers.Real):
        got, number = float(got), float(wanted)
        close = math.isclose(got, number, rel_tol=1e-9, abs_tol=1e-12) or (got != got and number != number)
        return close or (isinstance(wanted, _Written) and _rounds(got, wanted))
    if type(got) is type(wanted) and isinstance(got, list | tuple):
        return len(got) == len(wanted) and all(same(a, b) for a, b in zip(got, wanted, strict=True))
    if isinstance(got, dict) and isinstance(wanted, dict):
        return got.keys() == wanted.keys() and all(same(got[key], wanted[key]) for key in wanted)
    try:
        return bool(got == wanted)
    except Exception:  # noqa: BLE001 - arrays and tables have no single truth
        return repr(got) == repr(wanted)


def _rounds(got: float, wanted: _Written) -> bool:
    """Whether a value is the one written, rounded to so many decimals.

    One decimal says less: 4.91 is not what is meant by 4.9, but 4.9166666667 may be.
    """
    if wanted.decimals < 2 and len(repr(got).partition(".")[2]) <= SHORT:
        return False
    return abs(got - float(wanted)) <= 0.5 * 10.0**-wanted.decimals * (1 + 1e-9)


class Examples(unittest.TestCase):
    """One test an example."""

    def try_one(self, example: dict[str, Any]) -> None:
        """Fail unless the call gives what the user expects."""
        names = namespace(example)
        got, printed = outcome(example["call"], names)
        if not agrees(got, printed, expected(example), names):
            cause = got.error if isinstance(got, _Raised) else None
            wanted = ("raises " if example["expected"]["raises"] else "") + example["expected"]["text"]
            raise AssertionError(f"{example['call']} gives {got!r}, expected {wanted}") from cause


def _add(number: int, example: dict[str, Any]) -> None:
    def test(self: Examples) -> None:
        self.try_one(example)

    test.__doc__ = f"{example['call']}"
    setattr(Examples, f"test_{number}", test)


for _number, _example in enumerate(EXAMPLES, 1):
    _add(_number, _example)


def report(example: dict[str, Any]) -> dict[str, Any]:
    """Say what an example gives now."""
    try:
        names = namespace(example)
    except Exception as error:  # noqa: BLE001 - whatever the user's module raises is told
        return {"broken": f"{type(error).__name__}: {error}"}
    got, printed = outcome(example["call"], names)
    return {
        "got": repr(got)[:200] if got is not None or not printed else printed.strip()[:200],
        "raised": isinstance(got, _Raised),
        "unknown": isinstance(got, _Raised) and isinstance(got.error, NameError),
        "expected": agrees(got, printed, expected(example), names),
        "actual": example["actual"] is not None and agrees(got, printed, example["actual"], names),
    }


if __name__ == "__main__":
    for _example in EXAMPLES:
        sys.stdout.write(MARK + json.dumps(report(_example)) + "\n")
