"""One git commit of what was accepted, where the user asked for it; nothing else of Loom writes with git.

What the user asked for is ``git commit`` as they would type it in this folder: the repository's hooks, filters and
signing count, for without them (Git LFS, nbstripout, pre-commit) it would be another commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loom_jupyter.context import git
from loom_jupyter.context.repository import NoGitError
from loom_jupyter.errors import EditError


def uncommitted(root: Path, paths: Sequence[str]) -> list[str]:
    """Return those of the paths that hold changes of the user's own; to be asked before Accept.

    A commit of such a file would take these changes along.

    Raises
    ------
    EditError
        The workspace is no git repository, or git is missing.
    """
    told = _git(root, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--", *paths)
    prefix = _git(root, "rev-parse", "--show-prefix").strip()
    found, entries = [], told.split("\0")
    while entries:
        entry = entries.pop(0)
        if entry[:1] in ("R", "C"):
            entries.pop(0)
        if entry:
            found.append(entry[3:].removeprefix(prefix))
    return sorted(found)


def commit(root: Path, paths: Sequence[str], message: str) -> str:
    """Commit the files as they are now, by the user's identity and hooks, and nothing else.

    Returns
    -------
    str
        The commit's short id. What else is staged stays staged.

    Raises
    ------
    EditError
        Git refuses; the index is then as before.
    """
    tracked = set(_git(root, "ls-files", "-z", "--", *paths).split("\0"))
    fresh = [path for path in paths if path not in tracked]
    if fresh:
        _git(root, "add", "--intent-to-add", "--", *fresh)
    try:
        _git(root, "commit", "--quiet", "--only", "-m", message, "--", *paths)
    except EditError:
        if fresh:
            _git(root, "rm", "--cached", "--quiet", "--", *fresh)
        raise
    return _git(root, "rev-parse", "--short", "HEAD").strip()


def _git(root: Path, *words: str) -> str:
    try:
        done = git.as_user(root, *words)
    except NoGitError as error:
        raise EditError(f"{error}, so nothing was committed; install git or leave --commit out.") from error
    if done.late:
        raise EditError(
            f"git {words[0]} did not end within {done.seconds:.0f} seconds and was stopped; the files are "
            "written, so commit them by hand."
        )
    answer = done.answer.decode("utf-8", "surrogateescape")
    if done.code == 0:
        return answer
    said = f"{done.error}\n{answer}"
    if "not a git repository" in said or "cannot use bare repository" in said:
        raise EditError(f"{root} is not a git repository; leave --commit out or run git init.")
    if "dubious ownership" in said:
        raise EditError(
            f"{root} belongs to another user, so git does not work there; if you trust it, run "
            f"git config --global --add safe.directory {root}, or leave --commit out."
        )
    if "tell me who you are" in said:
        raise EditError(
            "git knows no name for you; set user.name and user.email with git config and commit again."
        )
    last = next((line.strip() for line in said.splitlines() if line.strip()), "no reason given")
    raise EditError(f"git did not commit ({last}); the files are written, so commit them by hand.")
