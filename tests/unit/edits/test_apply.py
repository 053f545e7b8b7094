from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_notebook, new_output

from loom_jupyter.context.context_map import NEW_CELL, NEW_SYMBOL, REMOVED, Rewrite, Target
from loom_jupyter.edits import apply as applying
from loom_jupyter.edits.apply import apply, digest
from loom_jupyter.edits.paths import resolve
from loom_jupyter.edits.text import bare, split_lines
from loom_jupyter.errors import EditError, ForbiddenPathError, NotTextError, StaleFileError

Make = Callable[..., Rewrite]


def rewrite(
    root: Path, path: str, start: int, end: int, text: str, *, cell: str | None = None, kind: str = ""
) -> Rewrite:
    file = root / path
    sha = digest(file.read_bytes()) if file.exists() else None
    target = Target(
        id="s1",
        path=path,
        symbol=None,
        kind=kind or "function",
        start=start,
        end=end,
        sha256=sha,
        text="",
        cell=cell,
    )
    return Rewrite(target=target, text=text)


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encoding_and_line_ends_stay(tmp_path: Path, codec: str, end: str) -> None:
    text = end.join(["é = 1", "\tb = 2", "c = 3"])
    file = tmp_path / "a.txt"
    file.write_bytes(text.encode(codec))
    file.chmod(0o754)
    (change,) = apply([rewrite(tmp_path, "a.txt", 2, 2, "\tb = 'ü'\n\td = 4\n")], tmp_path)
    assert change.after == end.join(["é = 1", "\tb = 'ü'", "\td = 4", "c = 3"]).encode(codec)
    assert change.before == file.read_bytes()
    assert change.mode == 0o754


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.lists(
        st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r\n\0"), max_size=5),
        min_size=1,
        max_size=9,
    ),
    ends=st.sampled_from([["\n"], ["\r\n"], ["\n", "\r\n"], ["\r"]]),
    closed=st.booleans(),
    codec=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    data=st.data(),
)
def test_untouched_bytes_are_identical(
    tmp_path: Path, words: list[str], ends: list[str], closed: bool, codec: str, data: st.DataObject
) -> None:
    rows = [f"L{n} {word}{data.draw(st.sampled_from(ends))}" for n, word in enumerate(words)]
    rows[-1] = rows[-1] if closed else bare(rows[-1])
    (tmp_path / "f.txt").write_bytes("".join(rows).encode(codec))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(rows)), min_size=2, max_size=4)))
    spans = list(zip(cuts[::2], cuts[1::2], strict=False))
    edits = [rewrite(tmp_path, "f.txt", a + 1, b, data.draw(st.text("xy\n", max_size=6))) for a, b in spans]
    (change,) = apply(edits, tmp_path)
    after = split_lines(change.after.decode(codec))
    kept = [row for n, row in enumerate(rows) if not any(a <= n < b for a, b in spans)]
    assert [row for row in after if row.startswith("L")] == kept
    assert change.after.startswith("".join(rows[: spans[0][0]]).encode(codec))
    # An empty last line without an end is nothing: only then does the text end with the line end before it.
    new = split_lines(edits[-1].text)
    if not closed and spans[-1][1] == len(rows) and new and bare(new[-1]):
        assert after[-1] == bare(after[-1])


def test_several_rewrites_of_several_files(tmp_path: Path) -> None:
    for name in ("b.py", "a.py"):
        (tmp_path / name).write_text("1\n2\n3\n")
    changes = apply(
        [
            rewrite(tmp_path, "b.py", 3, 3, "three\nmore\n"),
            rewrite(tmp_path, "a.py", 2, 2, ""),
            rewrite(tmp_path, "b.py", 1, 1, "one"),
        ],
        tmp_path,
    )
    assert [(c.path, c.after) for c in changes] == [("a.py", b"1\n3\n"), ("b.py", b"one\n2\nthree\nmore\n")]
    assert (tmp_path / "a.py").read_text() == "1\n2\n3\n"


def test_a_new_file(tmp_path: Path) -> None:
    (change,) = apply([rewrite(tmp_path, "new/a.py", 0, 0, "x = 'é'\n")], tmp_path)
    assert (change.before, change.after, change.mode) == (None, "x = 'é'\n".encode(), None)
    assert not (tmp_path / "new").exists()
    with pytest.raises(EditError, match="twice"):
        apply([rewrite(tmp_path, "new.py", 0, 0, "x"), rewrite(tmp_path, "new.py", 0, 0, "y")], tmp_path)


def test_an_empty_file_is_filled(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").touch()
    (change,) = apply([rewrite(tmp_path, "__init__.py", 0, 0, "x = 1\n")], tmp_path)
    assert change.after == b"x = 1\n"


def test_stale_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("1\n")
    edit, fresh = rewrite(tmp_path, "a.py", 1, 1, "2\n"), rewrite(tmp_path, "b.py", 0, 0, "x\n")
    file.write_text("1 \n")
    (tmp_path / "b.py").touch()
    with pytest.raises(StaleFileError, match=r"a\.py has changed.*run again") as caught:
        apply([edit], tmp_path)
    assert caught.value.path == "a.py"
    with pytest.raises(StaleFileError, match=r"b\.py now exists"):
        apply([fresh], tmp_path)
    file.unlink()
    with pytest.raises(StaleFileError, match=r"a\.py has been removed"):
        apply([edit], tmp_path)


@pytest.mark.parametrize("path", ["../out.py", "/etc/passwd", "a/../../out.py", "", ".", "a\0b", "a/../b.py"])
def test_paths_that_leave_are_refused(tmp_path: Path, path: str) -> None:
    target = Target(id="s", path=path, symbol=None, kind="file", start=0, end=0, sha256=None, text="")
    with pytest.raises(ForbiddenPathError):
        apply([Rewrite(target=target, text="x")], tmp_path)


def test_links_folders_git_and_special_files_are_refused(tmp_path: Path) -> None:
    root, outside = tmp_path / "ws", tmp_path / "outside"
    for folder in (root / ".git" / "hooks", root / "folder", outside):
        folder.mkdir(parents=True)
    (root / "real.py").touch()
    (root / "file").touch()
    (root / "link.py").symlink_to("real.py")
    (root / "dangling.py").symlink_to("nowhere.py")
    (root / "linked").symlink_to(outside)
    os.mkfifo(root / "pipe")
    paths = (".git/hooks/pre-commit", ".GIT/config", "sub/.git/config", "link.py", "dangling.py", "linked/a.py")
    for path in (*paths, "folder", "pipe", "file/a.py"):
        target = Target(id="s", path=path, symbol=None, kind="file", start=0, end=0, sha256=None, text="")
        with pytest.raises(ForbiddenPathError):
            apply([Rewrite(target=target, text="x")], root)
    assert list(outside.iterdir()) == []


def test_binary_and_unfit_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\0\1\2")
    (tmp_path / "b.py").write_bytes(b"# coding: latin-1\nx = 1\n")
    with pytest.raises(NotTextError):
        apply([rewrite(tmp_path, "a.bin", 1, 1, "x\n")], tmp_path)
    with pytest.raises(NotTextError, match="convert the file to UTF-8"):
        apply([rewrite(tmp_path, "b.py", 2, 2, "x = '→'\n")], tmp_path)


@pytest.mark.parametrize("path", ["new.py", "new.txt", "old.py", "old.txt", "n.ipynb"])
def test_half_a_character_is_refused(tmp_path: Path, path: str) -> None:
    for name in ("old.py", "old.txt"):
        (tmp_path / name).write_text("x = 1\n")
    nbformat.write(new_notebook(cells=[new_code_cell("x = 1", id="abc")]), tmp_path / "n.ipynb")
    cell = "abc" if path.endswith(".ipynb") else None
    made = rewrite(tmp_path, path, 1, 1, "x = '\ud800'\n", cell=cell)
    with pytest.raises(NotTextError, match=r"half a character \('\\ud800'\)"):
        apply([made], tmp_path)


def test_notebook_cells(tmp_path: Path) -> None:
    cells = [
        new_code_cell(f"a{n} = 1\nb = 2\nc = 3", id=f"c{n}", outputs=[new_output("stream", text="x")])
        for n in "01"
    ]
    made = new_notebook(cells=cells)
    (tmp_path / "n.ipynb").write_text(nbformat.writes(made) + "\n")
    changes = apply(
        [
            rewrite(tmp_path, "n.ipynb", 2, 2, "b = 22\n", cell="c0"),
            rewrite(tmp_path, "n.ipynb", 3, 3, "c = 33\nd = 4\n", cell="c0"),
            rewrite(tmp_path, "n.ipynb", 0, 0, "fresh = 1\n", cell="c1", kind=NEW_CELL),
        ],
        tmp_path,
    )
    back = nbformat.reads(changes[0].after.decode(), as_version=4)
    assert [cell.source for cell in back.cells] == ["a0 = 1\nb = 22\nc = 33\nd = 4", cells[1].source, "fresh = 1"]
    assert back.cells[0].outputs == cells[0].outputs
    made.cells[0].source = back.cells[0].source
    made.cells.append(back.cells[2])
    assert changes[0].after.decode() == nbformat.writes(made) + "\n"


def test_cells_and_raw_lines_do_not_mix(tmp_path: Path) -> None:
    (tmp_path / "n.ipynb").write_text(nbformat.writes(new_notebook(cells=[new_code_cell("a", id="x")])))
    edits = [rewrite(tmp_path, "n.ipynb", 1, 1, "b\n", cell="x"), rewrite(tmp_path, "n.ipynb", 1, 1, "{\n")]
    with pytest.raises(EditError, match="cells"):
        apply(edits, tmp_path)


UNITS = st.lists(st.sampled_from(["def f():", "    return 1", "", "x = 1", "# é"]), min_size=1, max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=UNITS, data=st.data(), end=st.sampled_from(["\n", "\r\n"]))
def test_what_comes_or_goes_leaves_all_other_lines_as_they_are(
    tmp_path: Path, lines: list[str], data: st.DataObject, end: str
) -> None:
    first = data.draw(st.integers(1, len(lines)))
    last = data.draw(st.integers(first, len(lines)))
    (tmp_path / "a.txt").write_bytes("".join(line + end for line in lines).encode())
    (added,) = apply([rewrite(tmp_path, "a.txt", first, last, "new\n", kind=NEW_SYMBOL)], tmp_path)
    after = added.after.decode().split(end)[:-1]
    at = after.index("new")
    assert [line for line in after[:at] if line] == [line for line in lines[:last] if line]
    assert [line for line in after[at + 1 :] if line] == [line for line in lines[last:] if line]
    assert after[:last] == lines[:last]
    (gone,) = apply([rewrite(tmp_path, "a.txt", first, last, "", kind=REMOVED)], tmp_path)
    left = [line for line in gone.after.decode().split(end) if line]
    assert left == [line for line in [*lines[: first - 1], *lines[last:]] if line]


@pytest.mark.parametrize("kind", ["fifo", "folder", "link"])
def test_what_became_another_kind_of_file_after_the_look_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    file = tmp_path / "a.py"
    file.write_text("1\n")
    edit = rewrite(tmp_path, "a.py", 1, 1, "2\n")

    def look(root: Path, path: str) -> Path:
        found = resolve(root, path)
        file.unlink()
        if kind == "fifo":
            os.mkfifo(file)
        elif kind == "folder":
            file.mkdir()
        else:
            file.symlink_to("b.py")
        return found

    (tmp_path / "b.py").write_text("1\n")
    monkeypatch.setattr(applying, "resolve", look)
    with pytest.raises(ForbiddenPathError, match=r"a\.py is not a regular file"):
        apply([edit], tmp_path)
