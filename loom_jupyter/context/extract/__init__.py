"""Extract: one file's bytes to symbols, imports and counted terms. Pure, so it can run in worker processes."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum

from loom_jupyter.context.extract import code, markdown, notebook
from loom_jupyter.context.extract.text import Unreadable, decode, minified
from loom_jupyter.context.languages import language_of
from loom_jupyter.context.symbol import Symbol
from loom_jupyter.context.words import TOKEN, Splitter


class Field(IntEnum):
    """Where in a file a term stands."""

    PATH = 0
    BASENAME = 1
    SYMBOL = 2
    HEADING = 3
    IMPORT = 4
    CONTENT = 5
    PROSE = 6


Tally = dict[str, list[int]]
TOKEN_OR_LINE = re.compile(r"\w{2,}|\n")
PROSE = re.compile(
    r'"""(?P<d>.*?)"""|'
    r"'''(?P<e>.*?)'''|"
    r"(?:#|//[/!]?)[ \t]+(?P<h>[^\n]*)|/\*(?P<b>.*?)\*/"
    r'|"(?P<s>(?:[^"\\\n]|\\.)*+)"'
    r"|'(?P<q>(?:[^'\\\n]|\\.)*+)'|`(?P<t>[^`]*+)`",
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
    words
        Number of tokens, before they are split into terms.
    terms
        For each field: term → [count, first line].
    """

    language: str
    reason: str = ""
    lines: int = 0
    words: int = 0
    symbols: list[Symbol] = field(default_factory=list)
    imports: list[tuple[int, str]] = field(default_factory=list)
    terms: dict[int, Tally] = field(default_factory=dict)


def extract(path: str, data: bytes, split: Splitter) -> Extracted:
    """Read one file's bytes; a file that cannot be indexed comes back with its reason."""
    language = language_of(path)
    try:
        text = decode(data)
    except Unreadable as error:
        return Extracted(language, str(error))
    if minified(text):
        return Extracted(language, "minified")
    got = Extracted(language)
    if language == "notebook":
        try:
            text = _notebook(text, got)
        except notebook.NotNotebook:
            got.language = "text"
    elif language in ("markdown", "rst"):
        got.symbols = markdown.sections(text, language)
    elif language in code.GRAMMARS:
        got.symbols, got.imports = code.parse(text.encode("utf-8", "replace"), language)
    got.lines = text.count("\n") + (not text.endswith("\n")) if text else 0
    _count(path, text, got, split)
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


def _count(path: str, text: str, got: Extracted, split: Splitter) -> None:
    """Count the terms of every field."""
    got.words, content = _tally(text, split)
    folder, _, base = path.rpartition("/")
    heads = [(s.signature, s.base + s.start) for s in got.symbols if s.kind == "section" or s.doc == "markdown"]
    names = [
        (s.name.rpartition(".")[2], s.base + s.start) for s in got.symbols if s.kind not in ("section", "cell")
    ]
    fields = {
        Field.PATH: _tally_pieces([(folder, 0)], split),
        Field.BASENAME: _tally_pieces([(base, 0)], split),
        Field.SYMBOL: _tally_pieces(names, split),
        Field.HEADING: _tally_pieces(heads, split),
        Field.IMPORT: _tally_pieces([(what, at) for at, what in got.imports], split),
        Field.CONTENT: content,
    }
    if got.language in code.GRAMMARS:
        fields[Field.PROSE] = _tally(_prose(text), split)[1]
    got.terms = {name: tally for name, tally in fields.items() if tally}


def _tally(text: str, split: Splitter) -> tuple[int, Tally]:
    """Return the number of tokens, and each term's count and first line."""
    found = TOKEN_OR_LINE.findall(text)
    breaks = [n for n, token in enumerate(found) if token == "\n"]
    counts = Counter(found)
    del counts["\n"]
    # The last writer wins: going backwards, that is the first place of each token.
    first = dict(zip(reversed(found), range(len(found) - 1, -1, -1), strict=True))
    out: Tally = {}
    for token, count in counts.items():
        line = bisect_left(breaks, first[token]) + 1
        for term in split(token):
            known = out.get(term)
            if known is None:
                out[term] = [count, line]
            else:
                known[0] += count
                if line < known[1]:
                    known[1] = line
    return len(found) - len(breaks), out


def _prose(text: str) -> str:
    """Return what is written for people in source code, on its lines: comments, docstrings, messages."""
    out: list[str] = []
    line = told = done = 0
    for match in PROSE.finditer(text):
        said = match[match.lastgroup or 0]
        if " " in said:
            line += text.count("\n", done, match.start())
            done = match.start()
            out.append("\n" * (line - told) if line > told else " ")
            out.append(said)
            told = max(line, told) + said.count("\n")
    return "".join(out)


def _tally_pieces(pieces: list[tuple[str, int]], split: Splitter) -> Tally:
    """Count the terms of short texts, given with their lines."""
    out: Tally = {}
    for text, line in pieces:
        for token in TOKEN.findall(text):
            for term in split(token):
                known = out.get(term)
                if known is None:
                    out[term] = [1, line]
                else:
                    known[0] += 1
    return out
