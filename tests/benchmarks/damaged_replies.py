"""Damaged JSON that others collected: ``python -m tests.benchmarks.damaged_replies CLONE``.

CLONE is a clone of github.com/mangiucugna/json_repair, a work tree or a bare one; nothing of it is part of this
repository. Its tests say what its lenient reader makes of each text. Told is how many objects come out the same,
how many are refused, and what comes out otherwise. Many leave something to be guessed, which that reader does.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, create_model

from loom_jupyter.pipeline.reply import ReplyError, parse_reply

FILES = ("json_repair", "parse_array", "parse_comment", "parse_number", "parse_object", "parse_string")


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    if len(arguments) != 1:
        sys.exit("Give the folder of a clone of github.com/mangiucugna/json_repair.")
    told: Counter[str] = Counter()
    for text, wanted in pairs(Path(arguments[0])):
        verdict, got = read(text, wanted)
        told[verdict] += 1
        if verdict == "otherwise":
            print(f"otherwise: {text!r} gives {got!r}, there {wanted!r}")
    print(f"{told.total()} damaged objects: " + ", ".join(f"{n} {verdict}" for verdict, n in told.most_common()))
    return 0


def pairs(clone: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the texts that the tests repair to an object with keys, and that object."""
    for name in FILES:
        show = ["git", "-C", str(clone), "show", f"HEAD:tests/test_{name}.py"]
        done = subprocess.run(show, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{clone} holds no tests/test_{name}.py; give a clone of github.com/mangiucugna/json_repair.")
        for node in ast.walk(ast.parse(done.stdout)):
            if isinstance(node, ast.Assert) and (pair := _pair(node.test)) is not None:
                yield pair


def _pair(test: ast.expr) -> tuple[str, dict[str, Any]] | None:
    if not (isinstance(test, ast.Compare) and isinstance(test.left, ast.Call) and test.left.args):
        return None
    try:
        text, wanted = ast.literal_eval(test.left.args[0]), ast.literal_eval(test.comparators[0])
        wanted = json.loads(wanted) if isinstance(wanted, str) else wanted
    except ValueError:
        return None
    return (text, wanted) if isinstance(text, str) and isinstance(wanted, dict) and wanted else None


def read(text: str, wanted: dict[str, Any]) -> tuple[str, Any]:
    """Read a text by a schema that requires the keys of `wanted`, of any type."""
    fields: dict[str, Any] = {f"f{n}": (Any, Field(alias=key)) for n, key in enumerate(wanted)}
    schema: type[BaseModel] = create_model("Schema", **fields)
    try:
        got = parse_reply(text, schema).model_dump(by_alias=True)
    except ReplyError:
        return "refused", None
    return ("the same" if got == wanted else "otherwise"), got


if __name__ == "__main__":
    sys.exit(main())
