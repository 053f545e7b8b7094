"""The tools of the reference agent, over one folder. Every answer is a short text; a refusal says what to do."""

from __future__ import annotations

import ast
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from loom_jupyter.gate.gate import is_test

WINDOW = 80
"""Lines that one `read` shows."""
MATCHES = 20
FILES = 60


class Action(BaseModel):
    """One step, as the agent says it."""

    thought: str = ""
    tool: Literal["list", "grep", "read", "replace", "rewrite"]
    path: str = ""
    text: str = ""
    line: int = 1
    function: str = ""
    old: str = ""
    new: str = ""
    code: str = ""


def _tool(name: str, **arguments: dict[str, Any]) -> dict[str, Any]:
    properties = {"thought": {"type": "string", "maxLength": 200}, "tool": {"const": name}, **arguments}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_SHORT = {"type": "string", "minLength": 1, "maxLength": 120}
# No length here: llama.cpp refuses grammars that repeat so often, and a reply has an end anyway.
_LONG = {"type": "string"}
SCHEMA: dict[str, Any] = {
    "anyOf": [
        _tool("list"),
        _tool("grep", text=_SHORT),
        _tool("read", path=_SHORT, line={"type": "integer", "minimum": 1}),
        _tool("replace", path=_SHORT, old=_LONG, new=_LONG),
        _tool("rewrite", path=_SHORT, function=_SHORT, code=_LONG),
    ]
}


class RefusedError(Exception):
    """The action cannot be done; the message says why and what to do instead."""


@dataclass
class Tools:
    """The folder that the agent works in."""

    root: Path
    writes: int = 0

    def act(self, action: Action) -> str:
        """Do what is asked; return what the agent is told."""
        try:
            return str(getattr(self, f"_{action.tool}")(action))
        except RefusedError as refusal:
            return f"Refused: {refusal}"

    def _files(self) -> list[Path]:
        found = (p for p in sorted(self.root.rglob("*")) if p.is_file())
        return [p for p in found if "__pycache__" not in p.parts and not p.name.startswith(".")]

    def _list(self, _: Action) -> str:
        names = [p.relative_to(self.root).as_posix() for p in self._files()]
        code = [n for n in names if n.endswith(".py")]
        return "\n".join(code[:FILES]) + (f"\nand {len(code) - FILES} more" if len(code) > FILES else "")

    def _grep(self, action: Action) -> str:
        try:
            pattern = re.compile(action.text, re.IGNORECASE)
        except re.error:
            pattern = re.compile(re.escape(action.text), re.IGNORECASE)
        found = []
        for file in self._files():
            if file.suffix != ".py":
                continue
            name = file.relative_to(self.root).as_posix()
            for n, line in enumerate(file.read_text("utf-8", "replace").splitlines(), 1):
                if pattern.search(line):
                    found.append((is_test(name), f"{name}:{n}: {line.strip()[:140]}"))
        if not found:
            return "No line matches; try a shorter or another word."
        shown = [text for _, text in sorted(found, key=lambda f: f[0])[:MATCHES]]
        return "\n".join(shown) + (f"\nand {len(found) - MATCHES} more" if len(found) > MATCHES else "")

    def _read(self, action: Action) -> str:
        lines = self._text(action.path).splitlines()
        first = max(1, min(action.line, len(lines)))
        shown = lines[first - 1 : first - 1 + WINDOW]
        more = f"\n({len(lines)} lines in all)" if len(lines) > len(shown) else ""
        return "\n".join(f"{n:4} {line}" for n, line in enumerate(shown, first)) + more

    def _replace(self, action: Action) -> str:
        text = self._text(action.path)
        if action.old == action.new:
            raise RefusedError("old and new are the same; that changes nothing.")
        times = text.count(action.old) if action.old else 0
        if times != 1:
            raise RefusedError(
                f"the old text stands {times} times in {action.path}; "
                "copy it exactly, without line numbers, and with enough lines around to be unique."
            )
        return self._write(action.path, text, text.replace(action.old, action.new))

    def _rewrite(self, action: Action) -> str:
        text = self._text(action.path)
        found = _functions(text).get(action.function)
        if found is None:
            raise RefusedError(f"{action.path} has no function {action.function}; give its name as it stands.")
        start, end, indent = found
        lines = text.splitlines(keepends=True)
        code = textwrap.indent(textwrap.dedent(action.code).strip("\n"), " " * indent) + "\n"
        return self._write(action.path, text, "".join([*lines[: start - 1], code, *lines[end:]]))

    def _text(self, path: str) -> str:
        file = (self.root / path).resolve()
        if not file.is_relative_to(self.root.resolve()) or not file.is_file():
            raise RefusedError(f"there is no file {path}; use list or grep to find one.")
        return file.read_text("utf-8", "replace")

    def _write(self, path: str, before: str, after: str) -> str:
        if is_test(path):
            raise RefusedError("tests may not be changed; mend the code.")
        if after == before:
            raise RefusedError("that is what the file holds already; it changes nothing.")
        try:
            compile(after, path, "exec")
        except (SyntaxError, ValueError) as error:
            raise RefusedError(f"the file would not be Python any more: {error}.") from error
        (self.root / path).write_text(after, "utf-8")
        self.writes += 1
        return f"Written to {path}."


def _functions(text: str) -> dict[str, tuple[int, int, int]]:
    """Return first line, last line and indentation of every function, by name and by qualified name."""
    found: dict[str, tuple[int, int, int]] = {}

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{prefix}{child.name}"
                if not isinstance(child, ast.ClassDef):
                    start = min([child.lineno, *(d.lineno for d in child.decorator_list)])
                    place = (start, child.end_lineno or child.lineno, child.col_offset)
                    found[name] = place
                    found.setdefault(child.name, place)
                visit(child, f"{name}.")
            else:
                visit(child, prefix)

    try:
        visit(ast.parse(text), "")
    except SyntaxError:
        return {}
    return found
