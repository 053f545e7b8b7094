"""Store: the index's one DuckDB file, read and written whole or in part by several processes at once.

DuckDB locks a file for the process that writes it, and everyone else's open fails meanwhile. So nobody ever
writes the file that others read: a writer changes a private copy and renames it over the old one. Readers see
the old file or the new one, a killed writer leaves the old one, a full disk too. Two writers are kept apart by a
lock that nobody waits for: whoever comes second skips its turn, since the file only saves work and every process
checks it against the tree anyway.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from loom_jupyter.context.batch import Batch, FileRow
from loom_jupyter.context.history import Commit
from loom_jupyter.errors import LoomError

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

# Tables: what SQL sees of the index, and what every column means.

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


VERSION = 9
SCHEMA = """
create table meta (version integer);
create table files (id integer, path varchar, size bigint, mtime_ns bigint, language varchar, reason varchar,
                    lines integer, words integer, sha256 varchar, symbols varchar, imports varchar);
create view symbols as
  select file, place, s->>0 as name, s->>1 as kind, (s->>2)::integer as start_line, (s->>3)::integer as end_line,
         s->>4 as signature, s->>5 as doc, s->>6 as cell, (s->>7)::integer as base
  from (select id as file, unnest(symbols::json[]) as s, unnest(range(json_array_length(symbols)::bigint)) as place
        from files);
create view imports as
  select file, (i->>0)::integer as line, i->>1 as text
  from (select id as file, unnest(imports::json[]) as i from files);
create table commits (sha varchar, time bigint, message varchar, touched varchar[], renamed varchar[]);
create table vocabulary (id integer, term varchar);
create table postings (term integer, file integer, "where" integer, count integer, line integer);
"""


_log = logging.getLogger(__name__)
# What reading a file raises whose bytes are not what was written.
_DAMAGE = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, MemoryError, RuntimeError)
# What a query of the user may take: seconds, memory, and rows that pandas holds in addition (in vectors of 2,048).
QUERY_SECONDS, QUERY_MEMORY, QUERY_VECTORS = 60.0, "1GB", 488
# Set before and after the tables are attached: a query sees them, and nothing else of this computer.
CLOSED: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    "python_enable_replacements": "false",
    "temp_directory": "",
    "memory_limit": QUERY_MEMORY,
}
SEALED = "set enable_external_access = false; set lock_configuration = true"


class QueryError(LoomError):
    """The SQL of the user is not valid, asks for more than reading, or takes too much."""


class Damaged(Exception):  # noqa: N818 - told to the index, never to the user
    """The file cannot be used; the message says why."""


class NotSaved(Exception):  # noqa: N818 - told to the index, never to the user
    """The index could not be written; the message says why."""


class Stored(NamedTuple):
    """What the file holds."""

    batch: Batch
    commits: Sequence[Commit]


class Store:
    """The DuckDB file ``index.duckdb`` in the workspace's data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "index.duckdb"

    @property
    def exists(self) -> bool:
        """Whether there is something in the file's place."""
        return os.path.lexists(self.file)

    def load(self) -> Stored | None:
        """Read everything; None where there is no file yet.

        Raises
        ------
        Damaged
            If the file is damaged or of another version. It is removed.
        """
        if not self.exists:
            return None
        if self.file.is_dir():
            raise Damaged(f"has a folder in its place, so nothing is kept: remove {self.file}")
        import duckdb

        try:
            with duckdb.connect(str(self.file), read_only=True) as con:
                if con.execute("select version from meta").fetchall() != [(VERSION,)]:
                    raise Damaged("was written by another version of Loom and has been rebuilt")
                return Stored(_read(con), _read_commits(con))
        except FileNotFoundError:
            return None
        except (duckdb.Error, OSError, *_DAMAGE) as error:
            _discard(self.file)
            raise Damaged("was damaged and has been rebuilt") from error
        except Damaged:
            _discard(self.file)
            raise

    def save(self, batch: Batch, gone: Collection[str], commits: Sequence[Commit], *, whole: bool) -> bool:
        """Write `batch` and forget the paths in `gone`; return False if another process is writing just now.

        Parameters
        ----------
        commits
            Commits that may be new to the file; those that it holds are skipped.
        whole
            `batch` is the whole index: what the file holds is dropped.

        Raises
        ------
        NotSaved
            If the file cannot be written. It is as it was: it only saves work, so everything still holds.
        """
        import duckdb
        from filelock import FileLock, Timeout

        draft = self.folder / "index.duckdb.draft"
        try:
            with FileLock(self.folder / "index.lock", timeout=0):
                _remove(draft)
                if not whole and self.file.exists():
                    shutil.copyfile(self.file, draft)
                with duckdb.connect(str(draft)) as con:
                    _write(con, batch, gone)
                    _write_commits(con, commits)
                draft.replace(self.file)
        except Timeout:
            return False
        except (duckdb.Error, OSError) as error:
            with suppress(OSError):
                _remove(draft)
            raise NotSaved(str(error).strip().splitlines()[0]) from error
        return True

    def sql(self, query: str, frames: Mapping[str, pd.DataFrame], unsaved: Stored | None = None) -> pd.DataFrame:
        """Run one query over views of the index and over `frames`, by name; nothing can be changed.

        The query reads no files, addresses or variables, loads no extensions, and is ended after a minute.

        Parameters
        ----------
        unsaved
            The whole index, where the file is not up to date.

        Raises
        ------
        QueryError
            If the query is not valid, not one query, or takes too much time, memory or rows.
        """
        import duckdb

        with duckdb.connect(":memory:", config=CLOSED) as con:
            if unsaved is not None:
                con.execute("attach ':memory:' as loom; use loom")
                _write(con, unsaved.batch, ())
                _write_commits(con, unsaved.commits)
                con.execute("use memory")
                con.execute(VIEWS)
            elif self.exists:
                con.execute(f"attach '{str(self.file).replace(chr(39), chr(39) * 2)}' as loom (read_only)")
                con.execute(VIEWS)
            for name, frame in frames.items():
                con.register(name, frame)
            con.execute(SEALED)
            try:
                return _answer(con, query)
            except duckdb.InterruptException as error:
                raise QueryError(
                    f"The query took longer than {QUERY_SECONDS:g} s; select fewer rows or columns."
                ) from error
            except duckdb.Error as error:
                first = str(error).strip().splitlines()[0]
                raise QueryError(
                    f"{first} Tables are {', '.join(TABLES)}; `sql --tables` describes their columns."
                ) from error


def _discard(file: Path) -> None:
    """Take away what is no index; what cannot be taken away is told when the index is to be saved."""
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        _log.warning("%s cannot be removed: %s", file, error)


def _answer(con: duckdb.DuckDBPyConnection, query: str) -> pd.DataFrame:
    """Run the one statement that a query is, if it only reads."""
    import duckdb

    statements = con.extract_statements(query)
    reading = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
    if len(statements) != 1 or statements[0].type not in reading:
        raise QueryError("Enter one query that reads: select, with, describe, show, summarize or explain.")
    clock = threading.Timer(QUERY_SECONDS, con.interrupt)
    clock.daemon = True
    clock.start()
    try:
        con.execute(statements[0])
        found = con.fetch_df_chunk(QUERY_VECTORS)
        if len(con.fetch_df_chunk(1)):
            raise QueryError(f"The query has more than {len(found):,} rows; add a limit.")
        return found
    finally:
        clock.cancel()


def _remove(draft: Path) -> None:
    for file in (draft, Path(f"{draft}.wal")):
        file.unlink(missing_ok=True)


def _read(con: duckdb.DuckDBPyConnection) -> Batch:
    batch = Batch()
    place: dict[int, int] = {}
    for number, (key, *row) in enumerate(con.execute("select * from files order by path").fetchall()):
        *told, symbols, imports = row
        batch.files.append(FileRow(*told))
        batch.symbols.folded.append(symbols)
        batch.imports.append(imports)
        place[key] = number
    words = con.execute("select id, term from vocabulary order by id").fetchnumpy()
    batch.vocabulary = list(words["term"])
    columns = con.execute('select term, file, "where", count, line from postings').fetchnumpy()
    term, file, batch.where, batch.count, batch.line = (
        np.ascontiguousarray(columns[name], np.int32) for name in ("term", "file", "where", "count", "line")
    )
    batch.term = _mapped(term, {key: n for n, key in enumerate(words["id"].tolist())})
    batch.file = _mapped(file, place)
    return batch


def _mapped(
    column: np.ndarray[tuple[int], np.dtype[np.int32]], places: Mapping[int, int]
) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """Translate ids of the file to positions; an id that is not there raises IndexError."""
    table = np.full(max(places, default=-1) + 1, -1, np.int32)
    table[list(places)] = list(places.values())
    out = table[column]
    if out.size and int(out.min()) < 0:
        raise IndexError("a posting names what is not there")
    return out


def _write(con: duckdb.DuckDBPyConnection, batch: Batch, gone: Collection[str]) -> None:
    """Replace the batch's files and drop those in `gone`, in a database that may be new or a copy."""
    import pandas as pd

    if not con.execute("select 1 from duckdb_tables() where table_name = 'meta'").fetchall():
        con.execute(SCHEMA)
        con.execute("insert into meta values (?)", [VERSION])
    con.execute("begin")
    old = pd.DataFrame({"path": sorted({f.path for f in batch.files}.union(gone))}, dtype="str")
    con.register("old", old)
    con.execute("create temp table dead as select id from files where path in (select path from old)")
    for table, key in (("postings", "file"), ("files", "id")):
        con.execute(f"delete from {table} where {key} in (select id from dead)")
    start = int(con.execute("select coalesce(max(id), -1) + 1 from files").fetchall()[0][0])
    _insert_files(con, batch, start)
    numbers = _number(con, batch.vocabulary)
    columns = {name: getattr(batch, name) for name in ("term", "file", "where", "count", "line")}
    columns |= {"term": numbers[batch.term], "file": batch.file + np.int32(start)}
    con.register("rows", pd.DataFrame(columns, copy=False))
    con.execute("insert into postings select * from rows")
    con.execute("commit")


def _number(
    con: duckdb.DuckDBPyConnection, vocabulary: Sequence[str]
) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """Return the ids of terms in the file, giving new ones to those that it does not hold."""
    import pandas as pd

    words = pd.DataFrame({"local": np.arange(len(vocabulary)), "term": pd.Series(vocabulary, dtype="str")})
    con.register("words", words)
    if con.execute("select 1 from vocabulary limit 1").fetchall():
        con.execute(
            "insert into vocabulary "
            "select (select max(id) from vocabulary) + row_number() over (), w.term "
            "from words w where w.term not in (select term from vocabulary)"
        )
    else:
        con.execute("insert into vocabulary select local, term from words")
    known = con.execute("select v.id from words w join vocabulary v using (term) order by w.local").fetchnumpy()
    return np.ascontiguousarray(known["id"], np.int32)


def _read_commits(con: duckdb.DuckDBPyConnection) -> list[Commit]:
    rows = con.execute("select sha, time, message, touched, renamed from commits").fetchall()
    return [
        Commit(sha, time, message, tuple(touched), tuple(zip(renamed[::2], renamed[1::2], strict=True)))
        for sha, time, message, touched, renamed in rows
    ]


def _write_commits(con: duckdb.DuckDBPyConnection, commits: Sequence[Commit]) -> None:
    import pandas as pd

    if not commits:
        return
    moved = [[name for pair in c.renamed for name in pair] for c in commits]
    columns: dict[str, list[object]] = {
        "sha": [c.sha for c in commits],
        "time": [c.time for c in commits],
        "message": [c.message for c in commits],
        "touched": ["\0".join(c.touched) for c in commits],
        "renamed": ["\0".join(pair) for pair in moved],
    }
    con.register("told", pd.DataFrame(columns))
    con.execute(
        "insert into commits select sha, time, message, "
        "list_filter(string_split(touched, chr(0)), lambda x: x <> ''), "
        "list_filter(string_split(renamed, chr(0)), lambda x: x <> '') "
        "from told where sha not in (select sha from commits)"
    )


def _insert_files(con: duckdb.DuckDBPyConnection, batch: Batch, start: int) -> None:
    import pandas as pd

    files = [
        (start + n, *row, symbols, imports)
        for n, (row, symbols, imports) in enumerate(
            zip(batch.files, batch.symbols.folded, batch.imports, strict=True)
        )
    ]
    if files:
        con.register("rows", pd.DataFrame(files))
        con.execute("insert into files select * from rows")
        con.unregister("rows")
