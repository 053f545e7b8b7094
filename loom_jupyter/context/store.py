"""Store: the index's one DuckDB file, read and written whole or in part by several processes at once.

DuckDB locks a file for the process that writes it, and everyone else's open fails meanwhile. So nobody ever
writes the file that others read: a writer changes a private copy and renames it over the old one. Readers see
the old file or the new one, a killed writer leaves the old one, a full disk too. Two writers are kept apart by a
lock that nobody waits for: whoever comes second skips its turn, since the file only saves work and every process
checks it against the tree anyway.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from loom_jupyter.context.batch import Batch, FileRow
from loom_jupyter.context.history import Commit
from loom_jupyter.context.symbol import Symbol
from loom_jupyter.errors import LoomError

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

VERSION = 6
SCHEMA = """
create table meta (version integer);
create table files (id integer, path varchar, size bigint, mtime_ns bigint, language varchar, reason varchar,
                    lines integer, words integer);
create table symbols (file integer, place integer, name varchar, kind varchar,
                      start_line integer, end_line integer, signature varchar, doc varchar,
                      cell varchar, base integer);
create table imports (file integer, line integer, text varchar);
create table commits (sha varchar, time bigint, message varchar, touched varchar[], renamed varchar[]);
create table vocabulary (id integer, term varchar);
create table postings (term integer, file integer, "where" integer, count integer, line integer);
"""
VIEWS = """
create view files as
  select path, language, size, lines, words, nullif(reason, '') as skipped from loom.files order by path;
create view symbols as
  select f.path, s.name as symbol, s.kind, s.start_line as "start", s.end_line as "end", s.signature, s.doc, s.cell
  from loom.symbols s join loom.files f on f.id = s.file order by f.path, s.place;
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


class QueryError(LoomError):
    """The SQL of the user is not valid."""


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

    def load(self) -> Stored | None:
        """Read everything; None where there is no file yet.

        Raises
        ------
        Damaged
            If the file is damaged or of another version. It is removed.
        """
        if not self.file.exists():
            return None
        import duckdb

        try:
            with duckdb.connect(str(self.file), read_only=True) as con:
                if con.execute("select version from meta").fetchall() != [(VERSION,)]:
                    raise Damaged("was written by another version of Loom and has been rebuilt")
                return Stored(_read(con), _read_commits(con))
        except FileNotFoundError:
            return None
        except (duckdb.Error, ValueError, TypeError, LookupError) as error:
            self.file.unlink(missing_ok=True)
            raise Damaged("was damaged and has been rebuilt") from error
        except Damaged:
            self.file.unlink(missing_ok=True)
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
        """Run `query` over views of the index and over `frames`, by name; nothing can be changed.

        Parameters
        ----------
        unsaved
            The whole index, where the file is not up to date.
        """
        import duckdb

        with duckdb.connect(":memory:") as con:
            if unsaved is not None:
                con.execute("attach ':memory:' as loom; use loom")
                _write(con, unsaved.batch, ())
                _write_commits(con, unsaved.commits)
                con.execute("use memory")
                con.execute(VIEWS)
            elif self.file.exists():
                con.execute(f"attach '{str(self.file).replace(chr(39), chr(39) * 2)}' as loom (read_only)")
                con.execute(VIEWS)
            for name, frame in frames.items():
                con.register(name, frame)
            try:
                return con.execute(query).df()
            except duckdb.Error as error:
                first = str(error).strip().splitlines()[0]
                raise QueryError(
                    f"{first} Tables are files, symbols, imports, terms and commits; "
                    "`describe files` lists the columns."
                ) from error


def _remove(draft: Path) -> None:
    for file in (draft, Path(f"{draft}.wal")):
        file.unlink(missing_ok=True)


def _read(con: duckdb.DuckDBPyConnection) -> Batch:
    batch = Batch()
    place: dict[int, int] = {}
    for number, (key, *row) in enumerate(con.execute("select * from files order by path").fetchall()):
        batch.files.append(FileRow(*row))
        place[key] = number
    symbols: list[list[Symbol]] = [[] for _ in batch.files]
    for file, _, *row in con.execute("select * from symbols order by file, place").fetchall():
        symbols[place[file]].append(Symbol(*row))
    imports: list[list[tuple[int, str]]] = [[] for _ in batch.files]
    for file, line, text in con.execute("select * from imports order by file, line, text").fetchall():
        imports[place[file]].append((line, text))
    batch.symbols = [tuple(s) for s in symbols]
    batch.imports = [tuple(i) for i in imports]
    words = con.execute("select id, term from vocabulary order by id").fetchall()
    batch.vocabulary = [term for _, term in words]
    columns = con.execute('select term, file, "where", count, line from postings').fetchnumpy()
    term, file, batch.where, batch.count, batch.line = (
        np.ascontiguousarray(columns[name], np.int32) for name in ("term", "file", "where", "count", "line")
    )
    batch.term = _mapped(term, {key: n for n, (key, _) in enumerate(words)})
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
    for table, key in (("postings", "file"), ("symbols", "file"), ("imports", "file"), ("files", "id")):
        con.execute(f"delete from {table} where {key} in (select id from dead)")
    start = int(con.execute("select coalesce(max(id), -1) + 1 from files").fetchall()[0][0])
    _insert_files(con, batch, start)
    words = pd.DataFrame(
        {"local": np.arange(len(batch.vocabulary)), "term": pd.Series(batch.vocabulary, dtype="str")}
    )
    con.register("words", words)
    con.execute(
        "insert into vocabulary "
        "select (select coalesce(max(id), -1) from vocabulary) + row_number() over (), w.term "
        "from words w where w.term not in (select term from vocabulary)"
    )
    columns = {name: getattr(batch, name) for name in ("term", "file", "where", "count", "line")}
    con.register("rows", pd.DataFrame(columns))
    con.execute(
        'insert into postings select v.id, r.file + ?, r."where", r.count, r.line from rows r '
        "join words w on w.local = r.term join vocabulary v on v.term = w.term",
        [start],
    )
    con.execute("commit")


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

    files = [(start + n, *row) for n, row in enumerate(batch.files)]
    symbols = [(start + n, i, *s) for n, found in enumerate(batch.symbols) for i, s in enumerate(found)]
    imports = [(start + n, line, text) for n, found in enumerate(batch.imports) for line, text in found]
    for table, rows in (("files", files), ("symbols", symbols), ("imports", imports)):
        if rows:
            con.register("rows", pd.DataFrame(rows))
            con.execute(f"insert into {table} select * from rows")
            con.unregister("rows")
