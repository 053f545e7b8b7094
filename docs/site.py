"""Pages of the site that are made as it is built: from code, notebooks and files at the top. None can drift."""

from __future__ import annotations

import inspect
import os
import re
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import griffe
import nbformat
from mkdocs.structure.files import File, Files
from nbclient import NotebookClient

from loom_jupyter import events
from loom_jupyter.arguments import task_parser
from loom_jupyter.cli import EXIT, RUN_USAGE
from loom_jupyter.commands import COMMANDS
from loom_jupyter.kernel.magics import LoomMagics
from loom_jupyter.settings import GUARDED, NamedModel, Settings

ROOT = Path(__file__).parents[1]
TOP = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "AGENTS.md": "must-stay-true.md",
}
WITHOUT_MODEL = ("ledger",)
"""Notebooks that the build executes; the others need a model, which a build does not download."""
EXECUTED = "*Executed when this page was built, from [`{path}`]({url}): no model is involved.*"
NOT_EXECUTED = (
    "*This notebook needs a model, so its page has no outputs. The tests execute it with one; run it yourself "
    "with `make lab`, from [`{path}`]({url}).*"
)

STYLE = (
    "<style>:host { display: block; overflow-x: auto; font-size: 13px } "
    ".dataframe { border-collapse: collapse } "
    ".dataframe th, .dataframe td { padding: 3px 8px; border: 1px solid #8884 }"
    "</style>"
)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made (called by MkDocs)."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    blob = f"{project['urls']['Homepage']}/blob/main"
    pages = {page: _linked((ROOT / name).read_text("utf-8"), blob) for name, page in TOP.items()}
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        pages[f"tutorials/{path.stem}.md"] = _tutorial(path, blob)
    pages["reference/commands.md"] = commands()
    pages["reference/settings.md"] = settings()
    pages["reference/events.md"] = of_events()
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def _linked(text: str, blob: str) -> str:
    """Lead the links of a file at the top to the pages of the site, and all others to the repository."""

    def lead(link: re.Match[str]) -> str:
        path, mark, anchor = link[1].partition("#")
        if re.match(r"https?:|mailto:", path) or not path:
            return link[0]
        if path in TOP:
            place = TOP[path]
        elif path.startswith("docs/"):
            place = path.removeprefix("docs/")
        elif path.startswith("notebooks/") and path.endswith(".ipynb"):
            place = f"tutorials/{Path(path).stem}.md"
        else:
            if not (ROOT / path).exists():
                raise ValueError(f"a link leads to {path}, which is not there")
            place = f"{blob}/{path}"
        return f"]({place}{mark}{anchor})"

    return re.sub(r"\]\(([^)\s]+)\)", lead, text)


# --- tutorials ---


def _tutorial(path: Path, blob: str) -> str:
    notebook = nbformat.read(path, as_version=4)
    done = path.stem in WITHOUT_MODEL
    if done:
        _execute(notebook)
    parts = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
        else:
            parts.append(_fenced(cell.source, "python"))
            parts += [_output(output) for output in cell.get("outputs", [])]
    place = f"notebooks/{path.name}"
    said = (EXECUTED if done else NOT_EXECUTED).format(path=place, url=f"{blob}/{place}")
    parts.insert(1, said)
    return "\n\n".join(part for part in parts if part)


def _execute(notebook: Any) -> None:
    before = os.environ.get("JUPYTER_DATA_DIR")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["JUPYTER_DATA_DIR"] = folder  # the build leaves the user's own index and runs alone
        try:
            NotebookClient(notebook, kernel_name="python3", timeout=120).execute(cwd=str(ROOT / "notebooks"))
        finally:
            if before is None:
                del os.environ["JUPYTER_DATA_DIR"]
            else:
                os.environ["JUPYTER_DATA_DIR"] = before


def _output(output: Any) -> str:
    if output.output_type == "stream":
        return _fenced(output.text, "text")
    html = output.get("data", {}).get("text/html")
    if html is not None:  # on one line, so that Markdown leaves it alone; in a shadow, so that the theme does
        return f'<div><template shadowrootmode="open">{STYLE}{" ".join(html.split())}</template></div>'
    text = output.get("data", {}).get("text/plain", "")
    return _fenced(text, "text") if text else ""


def _fenced(text: str, language: str) -> str:
    return f"````{language}\n{text.rstrip()}\n````" if text.strip() else ""


# --- reference ---


def commands() -> str:
    """Return the page of the commands, from the table that notebook and terminal share."""
    flags = [
        (f"{action.option_strings[0]} {action.metavar or ''}".strip(), action.help or "")
        for action in task_parser("run")._actions
    ]
    rows = [(command.name, command.usage, command.help) for command in COMMANDS.values()]
    magic = inspect.cleandoc(LoomMagics.loom.__doc__ or "")
    traits = [(name, trait.default_value, trait.help) for name, trait in _traits()]
    return "\n\n".join(
        [
            "# Commands",
            "`%loom COMMAND` in a notebook and `jupyter loom COMMAND` in a terminal are the same commands. "
            "This page is made from the code that reads them.",
            "## All commands",
            _table(("command", "arguments", "what it does"), [(_code(n), _code(u), h) for n, u, h in rows]),
            "## What starts a run",
            "Flags of `%%loom`, of `%loom fix` and of `jupyter loom run`:",
            _table(("flag", "meaning"), [(_code(flag), text) for flag, text in flags]),
            "## In a notebook: `%%loom` and `%loom`",
            _fenced(magic, "text"),
            "`%config LoomMagics` sets:",
            _table(("name", "default", "meaning"), [(_code(n), _code(repr(d)), h) for n, d, h in traits]),
            "## In a terminal: `jupyter loom`",
            _fenced(f"jupyter loom [--root PATH] COMMAND …\n\n{RUN_USAGE}{EXIT}", "text"),
        ]
    )


def _traits() -> list[tuple[str, Any]]:
    own = LoomMagics.class_own_traits(config=True)
    return sorted(own.items())


def settings() -> str:
    """Return the page of the settings, from the models that check them."""
    return "\n\n".join(
        [
            "# Settings",
            "Keys of `[tool.loom]` in the workspace's `pyproject.toml`. The file comes with the repository, so "
            "what runs or sends something counts only after you [trusted it](../how-to/trust.md).",
            _fields(Settings, GUARDED),
            "## Models with a name",
            "Keys of `[tool.loom.models.NAME]`:",
            _fields(NamedModel, ()),
        ]
    )


def _fields(model: Any, guarded: tuple[str, ...]) -> str:
    told = _attributes(model)
    rows = []
    for name, field in model.model_fields.items():
        default = "" if field.is_required() else field.get_default(call_default_factory=True)
        trust = "needs trust" if name in guarded else ""
        rows.append((_code(name), _code(_toml(default)), trust, told[name]))
    return _table(("key", "default", "", "meaning"), rows)


def _toml(value: Any) -> str:
    if value is None or value == {}:
        return ""
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _attributes(model: Any) -> dict[str, str]:
    """Return what the docstring of a model says of each attribute."""
    docstring = griffe.Docstring(inspect.cleandoc(model.__doc__), parent=None)
    sections = docstring.parse("numpy", warnings=False)
    found = next(s.value for s in sections if s.kind is griffe.DocstringSectionKind.attributes)
    return {a.name: a.description for a in found}


def of_events() -> str:
    """Return the page of the events, from their JSON Schema."""
    schema = events.schema()
    parts = [
        "# Events",
        "`progress.jsonl` in a run's folder holds one JSON object a line; `run.events()` returns them. "
        "Every event has `v` (1), `seq` (its position, from 1), `ts` (seconds since the epoch), `run` and `type`. "
        "Readers skip types and fields that they do not know, and a torn last line. This page is made from the "
        "JSON Schema, `loom_jupyter/progress.schema.json`.",
    ]
    for kind, ref in sorted(schema["discriminator"]["mapping"].items()):
        event = schema["$defs"][ref.rpartition("/")[2]]
        parts += [f"## `{kind}`", event.get("description", "")]
        rows = [
            (_code(name), _code(_type(field)), field.get("description", ""))
            for name, field in event["properties"].items()
            if name not in ("v", "seq", "ts", "run", "type")
        ]
        parts.append(_table(("field", "type", "meaning"), rows) if rows else "It has no other fields.")
    return "\n\n".join(parts)


def _type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return str(field["$ref"].rpartition("/")[2])
    if "anyOf" in field:
        return " or ".join(_type(one) for one in field["anyOf"])
    if "enum" in field:
        return " or ".join(map(str, field["enum"]))
    if field.get("type") == "array":
        return f"array of {_type(field.get('items', {}))}"
    return str(field.get("type", "any"))


def _table(head: tuple[str, ...], rows: list[Any]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(str(text)) for text in line) + " |" for line in lines)


def _cell(text: str) -> str:
    parts = " ".join(text.replace("``", "`").split()).split("`")
    return "`".join(part if n % 2 else part.replace("|", "\\|") for n, part in enumerate(parts))


def _code(text: str) -> str:
    return f"`{text}`" if text else ""
