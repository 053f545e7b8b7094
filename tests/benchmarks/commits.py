"""Cases of real commits: each one's parent checked out in a work tree of its own, with a refreshed index."""

from __future__ import annotations

import collections
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from loom_jupyter.context.index import Index
from loom_jupyter.settings import Settings


def scorer(file: Path) -> ModuleType:
    """Return the module that defines how a case is checked out, asked and scored."""
    spec = importlib.util.spec_from_file_location("scorer", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def by_repo(files: Sequence[Path], only: Sequence[str] | None) -> dict[str, list[dict]]:
    """Read cases, one JSON object a line."""
    out = collections.defaultdict(list)
    for line in "".join(f.read_text("utf-8") for f in files).splitlines():
        case = json.loads(line)
        if not only or case["repo"] in only:
            out[case["repo"]].append(case)
    return out


def visit(
    repo: str, cases: Sequence[dict], clones: Path, rules: ModuleType
) -> Iterator[tuple[dict, dict[str, str], Index, Path]]:
    """Yield each case with its queries by variant, the index at its parent, and the clone; oldest first."""
    clone = rules.clone_of(clones, repo)
    if clone is None:
        print(f"{repo}: no clone, skipped", file=sys.stderr)
        return
    cases = sorted(cases, key=lambda c: int(rules.git(clone, "log", "-1", "--format=%ct", c["parent"])))
    with tempfile.TemporaryDirectory() as folder:
        tree, data = Path(folder, "tree"), Path(folder, "data")
        data.mkdir()
        add = ("worktree", "add", "--detach", "--force", "--no-checkout", str(tree), cases[0]["parent"])
        rules.git(clone, *add)
        try:
            index, before = Index(tree, Settings(), data), None
            for case in cases:
                rules.switch(tree, before, case["parent"])
                before = case["parent"]
                index.refresh()
                text = rules.message(clone, case["commit"])
                asked = {"full": text, "nopath": rules.without_paths(text, case["gold"])}
                yield case, {"request": case["request"]} if "request" in case else asked, index, clone
        finally:
            remove = ["git", "-C", str(clone), "worktree", "remove", "--force", str(tree)]
            subprocess.run(remove, check=False, capture_output=True)
