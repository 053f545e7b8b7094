"""Extract: one file's bytes to symbols, imports and counted terms. Pure, so it can run in worker processes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from loom_jupyter.context.definitions import Symbol
from loom_jupyter.context.extract import code, keys, markdown, notebook
from loom_jupyter.context.languages import language_of, role_of
from loom_jupyter.context.term_index import Lexicon, Text, count
from loom_jupyter.context.text import Unreadable, indexed, minified


class Field(IntEnum):
    """Where in a file a term stands."""

    PATH = 0
    BASENAME = 1
    SYMBOL = 2
    HEADING = 3
    IMPORT = 4
    CONTENT = 5
    PROSE = 6


# A comment that is never closed is passed over whole, and no string has endless escapes: nothing is read often.
PROSE = re.compile(
    rb'"""(?P<d>.*?)"""|'
    rb"'''(?P<e>.*?)'''|"
    rb"(?:#|//[/!]?)[ \t]++(?P<h>[^\n]*+)|/\*(?P<b>.*?)\*/|/\*.*+"
    rb'|"(?P<s>(?:[^"\\\n]++|\\.){0,200}+)"'
    rb"|'(?P<q>(?:[^'\\\n]++|\\.){0,200}+)'|`(?P<t>[^`]*+)`",
    re.DOTALL,
)


@dataclass(slots=True)
class Extracted:
    """What one file holds.

    Attributes
    ----------
    reason
        Why the file is not indexed; empty when it is.
    lines
        Number of lines.
    text
        What its words are counted in, as UTF-8.
    prose
        Byte ranges of `text` that are written for people: comments, docstrings, messages.
    sha256
        Digest of the file's bytes.
    """

    path: str
    language: str
    reason: str = ""
    lines: int = 0
    symbols: list[Symbol] = field(default_factory=list)
    imports: list[tuple[int, str]] = field(default_factory=list)
    text: bytes = b""
    prose: list[tuple[int, int]] = field(default_factory=list)
    sha256: str = ""

    def texts(self, number: int) -> Iterator[Text]:
        """Yield what is to be counted for each field of the file that has this number."""
        if self.reason:
            return
        folder, _, base = self.path.rpartition("/")
        inner = [s for s in self.symbols if s.kind not in ("section", "cell", "key")]
        heads = [s for s in self.symbols if s.kind == "section" or s.doc == "markdown"]
        pieces: dict[Field, list[tuple[int, str]]] = {
            Field.PATH: [(0, folder)],
            Field.BASENAME: [(0, base)],
            Field.SYMBOL: [(s.base + s.start, s.name.rpartition(".")[2]) for s in inner],
            Field.HEADING: [(s.base + s.start, s.signature) for s in heads],
            Field.IMPORT: self.imports,
        }
        yield Text(number, Field.CONTENT, self.text, None, self.prose, Field.PROSE)
        for where, found in pieces.items():
            if found:
                data = "\n".join(text.replace("\n", " ") for _, text in found)
                yield Text(number, where, data.encode("utf-8", "replace"), [line for line, _ in found])

    @property
    def terms(self) -> dict[int, dict[str, list[int]]]:
        """For each field: term → [count, first line]. Counted each time, to look at one file."""
        got = count(list(self.texts(0)), Lexicon())
        out: dict[int, dict[str, list[int]]] = {}
        for term, where, times, line in zip(got.term, got.where, got.times, got.line, strict=True):
            out.setdefault(int(where), {})[got.vocabulary[term]] = [int(times), int(line)]
        return out


def extract(path: str, data: bytes) -> Extracted:
    """Read one file's bytes; a file that cannot be indexed comes back with its reason."""
    language = language_of(path)
    try:
        text = indexed(path, data)
    except Unreadable as error:
        return Extracted(path, language, str(error))
    if minified(text):
        return Extracted(path, language, "minified")
    got = Extracted(path, language)
    if language == "notebook":
        try:
            text = _notebook(text, got)
        except notebook.NotNotebook:
            got.language = "text"
    got.text = text.encode("utf-8", "replace")
    if language in ("markdown", "rst"):
        got.symbols = markdown.sections(text, language)
    elif language in keys.GRAMMARS and role_of(path) != "generated":
        got.symbols = keys.keys(got.text, language)
    elif language in code.GRAMMARS:
        got.symbols, got.imports = code.parse(got.text, language)
        got.prose = _prose(got.text)
    got.lines = text.count("\n") + (not text.endswith("\n")) if text else 0
    return got


def _notebook(text: str, got: Extracted) -> str:
    """Collect cells and the symbols in them; return the cells' sources as one text."""
    language, found = notebook.cells(text)
    for cell in found:
        lines = max(1, len(cell.source.removesuffix("\n").split("\n")))
        head = next((line.strip() for line in cell.source.split("\n") if line.strip()), "")
        if cell.kind == "markdown":
            titles = markdown.sections(cell.source)
            head = titles[0].signature if titles else head
        if cell.source.strip():
            got.symbols.append(Symbol(cell.id, "cell", 1, lines, head[:160], cell.kind, cell.id, cell.base))
        if cell.kind == "code" and language in code.GRAMMARS:
            inner = code.parse(cell.source.encode("utf-8", "replace"), language)
            got.symbols += [
                s._replace(cell=cell.id, base=cell.base) for s in inner.symbols if s.kind != "constant"
            ]
            got.imports += [(cell.base + line, what) for line, what in inner.imports]
    return "\n".join(cell.source for cell in found)


def _prose(text: bytes) -> list[tuple[int, int]]:
    """Find what is written for people in source code: comments, docstrings, messages of more than one word."""
    spans = (match.span(match.lastgroup) for match in PROSE.finditer(text) if match.lastgroup)
    return [(start, end) for start, end in spans if text.find(b" ", start, end) >= 0]
