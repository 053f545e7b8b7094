from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from loom_jupyter.edits.apply import FileChange
from loom_jupyter.edits.diff import unified_diff


@pytest.mark.skipif(shutil.which("patch") is None, reason="needs the program patch")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a\nb", "a\nb\n"),
        ("a\nb\n", "a\nb"),
        ("", "x\n"),
        ("x\n", ""),
        ("".join(f"{n}\n" for n in range(40)), "".join(f"{n * (n % 9 > 0)}\n" for n in range(40))),
        ("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10"),
    ],
)
def test_the_diff_is_one_that_patch_takes(tmp_path: Path, old: str, new: str) -> None:
    (tmp_path / "f").write_text(old)
    (shown,) = unified_diff([FileChange("f", old.encode(), new.encode())])
    subprocess.run(["patch", "-p1", "--posix"], cwd=tmp_path, input=shown.text, text=True, check=True)
    found = (tmp_path / "f").read_text() if (tmp_path / "f").exists() else ""
    assert found == new
