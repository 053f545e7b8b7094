"""Tables: what SQL sees of the index, and what every column means."""

from __future__ import annotations

from typing import NamedTuple

VIEWS = """
create view files as
  select path, language, size, lines, words, nullif(reason, '') as skipped from loom.files order by path;
create view symbols as
  select f.path, s.name as symbol, s.kind, s.start_line as "start", s.end_line as "end", s.signature, s.doc, s.cell
  from loom.symbols s join loom.files f on f.id = s.file order by f.path, s.place;
create view refs as
  select s.name as symbol, d.path as defined_in, f.path, if(f.id = d.id, null, p.line) as line,
         p.count - if(f.id = d.id, s.times, 0) as count
  from (select name, file, trim(lower(split_part(name, '.', -1)), '_') as term, count(*) as times
        from loom.symbols where kind not in ('section', 'cell', 'key') and not ends_with(name, '__')
        group by all) s
  join loom.files d on d.id = s.file
  join loom.vocabulary v on v.term = s.term
  join loom.postings p on p.term = v.id and p."where" = 5
  join loom.files f on f.id = p.file
  where p.count > if(f.id = d.id, s.times, 0);
create view imports as
  select f.path, i.line, i.text from loom.imports i join loom.files f on f.id = i.file order by f.path, i.line;
create view commits as
  select sha, make_timestamp(time * 1000000) as date, split_part(message, chr(10), 1) as subject, message, touched
  from loom.commits order by time desc, sha;
create view terms as
  select v.term, f.path, ['path', 'basename', 'symbol', 'heading', 'import', 'content', 'prose'][p."where" + 1]
         as field, p.count, p.line
  from loom.postings p join loom.vocabulary v on v.id = p.term join loom.files f on f.id = p.file;
"""


class Table(NamedTuple):
    """What a table holds: a sentence for the whole, and one for each column."""

    about: str
    columns: dict[str, str]


PATH = "path relative to the workspace"
TABLES = {
    "files": Table(
        "one row a file that was read",
        {
            "path": PATH,
            "language": "told by the name; 'text' where no grammar is known",
            "size": "bytes",
            "lines": "lines; of a notebook's cells, for notebooks",
            "words": "words, before they are split into terms",
            "skipped": "why it is not indexed; null if it is",
        },
    ),
    "symbols": Table(
        "one row a function, class, section, cell, key, …",
        {
            "path": PATH,
            "symbol": "name, qualified by what it stands in: Class.method",
            "kind": "function, method, class, constant, section, cell, key, table, …",
            "start": "first line, from 1; within the cell for notebooks",
            "end": "last line",
            "signature": "its first line, or the heading",
            "doc": "first line of its documentation",
            "cell": "id of the notebook cell; null elsewhere",
        },
    ),
    "refs": Table(
        "one row a symbol and file whose words hold its bare name, whatever bears it; no __dunders__",
        {
            "symbol": "qualified name of what is defined",
            "defined_in": "path of the file that defines it",
            "path": "file that names it",
            "line": "first line there, from 1; null in the defining file, where that may be the definition",
            "count": "how often the file names it; definitions in the defining file are taken off",
        },
    ),
    "imports": Table(
        "one row an import, include or use",
        {"path": PATH, "line": "line, from 1", "text": "the statement"},
    ),
    "terms": Table(
        "one row a term, file and field: what the rules for words look at",
        {
            "term": "lower-case word or part of an identifier",
            "path": PATH,
            "field": "path, basename, symbol, heading, import, content or prose (comments and messages)",
            "count": "how often it stands there",
            "line": "first line, from 1; 0 where the field has none",
        },
    ),
    "commits": Table(
        "the newest commits of the workspace's history",
        {
            "sha": "id",
            "date": "when it was written (UTC)",
            "subject": "first line of the message",
            "message": "the message, cut where it is long",
            "touched": "list of the paths that it changed",
        },
    ),
    "ledger": Table(
        "the evidence of the newest ranking or run: one row a piece of it",
        {
            "rank": "place of the file, from 1",
            "path": PATH,
            "rule": "name of the rule",
            "points": "what it was worth; a file's rows add up to its score",
            "detail": "what was seen: the term, the mention, the commit",
            "line": "where, from 1; null if it has no place",
            "symbol": "symbol or cell around the line",
        },
    ),
    "runs": Table(
        "one row a run of this workspace, newest first",
        {
            "id": "id, as in `--run ID`",
            "created": "when it was asked for (UTC)",
            "state": "queued, running, review, accepted, rejected, undone, stopped or failed",
            "task": "the request",
            "model": "name or path; null for the default",
            "check": 'command that judges it; null if none (quote the name in SQL: "check")',
            "seconds": "from its first event to its last",
            "files": "files that it proposes to change",
        },
    ),
}
