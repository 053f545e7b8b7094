from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from loom_jupyter.context.index import Index
from loom_jupyter.context.scan import read_patterns

Open = Callable[..., Index]
PIECES = ["a", "b", ".", "*", "*", "?", "[ab]", "/", "**/", "\\*"]


@given(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=8).map("".join),
    st.lists(st.text("ab.*", min_size=1, max_size=5), min_size=1, max_size=3).map("/".join),
)
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_patterns_match_what_they_always_did(tmp_path: Path, pattern: str, name: str) -> None:
    (tmp_path / ".gitignore").write_text(f"{pattern}\n")
    try:
        expected = GitIgnoreSpec.from_lines([pattern])
    except ValueError:
        return
    spec, left_out = read_patterns(str(tmp_path), ".gitignore")
    for path in (name, f"{name}/"):
        assert left_out or spec.check_file(path).include == expected.check_file(path).include


@pytest.mark.parametrize("repeated", ["a*", "*a", "**/a*", "**/a/", "?*", "a**"])
def test_no_pattern_takes_long(make: Callable[..., Path], opened: Open, repeated: str) -> None:
    pattern = repeated * 30 + "b"
    deep = "/".join(["a"] * 60)
    root = make({".gitignore": pattern + "\n", "a" * 200: "x", f"{deep}/{'a' * 100}": "x", "kept.py": "x = 1\n"})
    start = time.monotonic()
    assert "kept.py" in opened(root).snapshot.paths
    assert time.monotonic() - start < 10


def test_bad_patterns_are_named_and_the_others_hold(make: Callable[..., Path], opened: Open) -> None:
    root = make({".gitignore": f"{'**/a/' * 9}b\n*.log\n", "x.log": "x", "a.py": "x = 1\n"})
    index = opened(root)
    report = index.refresh()
    assert "x.log" not in index.snapshot.paths
    assert any(s.path == ".gitignore" and "not used" in s.reason for s in report.skipped)


@pytest.mark.parametrize("kind", ["pipe", "device", "link", "folder", "large"])
def test_ignore_files_that_are_no_files_are_named(make: Callable[..., Path], opened: Open, kind: str) -> None:
    root = make({"a.py": "x = 1\n", "src/b.py": "x = 1\n"})
    file = root / "src" / ".gitignore"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    elif kind == "large":
        with file.open("wb") as stream:
            stream.truncate(3 << 40)
    else:
        file.symlink_to("/dev/zero" if kind == "device" else root / "a.py")
    report = opened(root).refresh()
    assert report.files == 2
    assert any(s.path == "src/.gitignore" and "cannot be read" in s.reason for s in report.skipped)
