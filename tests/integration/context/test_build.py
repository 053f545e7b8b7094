from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from loom_jupyter.context import build as module
from loom_jupyter.context.build import gather
from loom_jupyter.context.scan import Cancelled, scan
from loom_jupyter.context.snapshot import Snapshot

Make = Callable[[dict[str, str | bytes]], Path]
CRASH = (
    "import os, pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "import loom_jupyter.context.build as w; read = w._read; "
    "w._read = lambda r, f: os._exit(9) if f.path == 'boom.py' else read(r, f); w.main()"
)


@pytest.fixture
def tree(make: Make) -> Path:
    return make({f"f{n}.py": f"def common_{n}(depot):\n    return {n}\n" * 5 for n in range(60)})


def test_workers_find_what_one_process_finds(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = scan(tree).files
    alone = Snapshot().merged((), gather(tree, files))
    monkeypatch.setattr(module, "ALONE", 0)
    monkeypatch.setattr(module, "CHUNK", 2000)
    together = Snapshot().merged((), gather(tree, files))
    assert together.batch.files == alone.batch.files
    assert together.batch.symbols == alone.batch.symbols
    for term in ("common", "depot", "common_7"):
        assert [c.tolist() for c in together.lookup(term)] == [c.tolist() for c in alone.lookup(term)]


def test_a_file_that_kills_the_worker_is_named(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "boom.py").write_text("x = 1\n")
    monkeypatch.setattr(module, "ALONE", 0)
    monkeypatch.setattr(module, "BOOT", CRASH)
    found = Snapshot().merged((), gather(tree, scan(tree).files))
    assert len(found.paths) == 61
    assert {f.path: f.reason for f in found.batch.files if f.reason} == {
        "boom.py": "its grammar crashed while reading it"
    }


def test_stop_ends_the_workers_at_once(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ALONE", 0)
    monkeypatch.setattr(module, "BOOT", "import time; time.sleep(60)")
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    start = time.perf_counter()
    with pytest.raises(Cancelled):
        gather(tree, scan(tree).files, stop)
    assert time.perf_counter() - start < 10


def test_file_that_vanishes_is_left_out(tree: Path) -> None:
    files = scan(tree).files
    (tree / "f3.py").unlink()
    assert "f3.py" not in Snapshot().merged((), gather(tree, files)).number


def test_an_empty_file_alone_is_read(make: Make) -> None:
    root = make({"__init__.py": ""})
    assert Snapshot().merged((), gather(root, scan(root).files)).paths == ["__init__.py"]


def test_helpers_import_nothing_of_the_workspace(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even what the user's own settings put on the import path."""
    for name in ("pickle", "json", "sitecustomize", "usercustomize", "tree_sitter", "encodings", "loom_jupyter"):
        (tree / f"{name}.py").write_text(f"open({str(tmp_path / 'OWNED')!r}, 'w')\n")
    files = scan(tree).files
    monkeypatch.chdir(tree)
    monkeypatch.setenv("PYTHONPATH", f"{tree}:.:")
    monkeypatch.setattr(sys, "path", ["", str(tree), *sys.path])
    monkeypatch.setattr(module, "ALONE", 0)
    assert len(gather(tree, files)) > 0
    assert not (tmp_path / "OWNED").exists()
