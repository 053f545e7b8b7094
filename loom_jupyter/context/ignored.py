"""Ignored: the patterns of a .gitignore, read where there is no git to ask.

A file that came with a repository must not cost more than others do. Python's regular expressions try every way to
spread the stars of a pattern over a name, which takes ages for ``a*a*a*…b``; here each star takes the first place
that fits, which is as good within one name of a folder or file.
"""

from __future__ import annotations

import re

from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from loom_jupyter.context.files import read

LARGEST = 1 << 20
MOST = 5000
"""Patterns of one file; git's own listing is not limited so."""
_STAR = r"\[\^/\]\*"
_STARS = re.compile(rf"(?:{_STAR}){{2,}}")
# What stands between two stars of one name: signs, escaped signs and classes of signs.
_BETWEEN = re.compile(rf"{_STAR}((?:\\.|\[\^?(?:\\.|[^\]\\])+\]|[^\\\[()/])+?)(?={_STAR})")
_FOLDERS = re.compile(r"\(\?:\.\+/\)\?|\(\?:/\.\+\)\?")
MOST_FOLDERS = 2
"""``**`` in one pattern."""


def read_patterns(base: str, path: str) -> tuple[GitIgnoreSpec, list[str]]:
    """Return the patterns of a file of the workspace, and those that are not used because they take too long.

    Raises
    ------
    OSError
        It is not a file, or too large.
    """
    data = read(base, path, LARGEST).data
    lines = data.decode("utf-8", "replace").splitlines()
    left_out = [f"all after number {MOST}"] if len(lines) > MOST else []
    patterns: list[GitIgnoreSpecPattern] = []
    for line in lines[:MOST]:
        for pattern in GitIgnoreSpec.from_lines([line], backend="simple").patterns:
            if pattern.regex is None:
                continue
            made = str(pattern.regex.pattern)
            if len(_FOLDERS.findall(made)) > MOST_FOLDERS:
                left_out.append(line)
                continue
            patterns.append(GitIgnoreSpecPattern(re.compile(_quick(made)), pattern.include))
    return GitIgnoreSpec(patterns, backend="simple"), left_out


def _quick(pattern: str) -> str:
    """Return a pattern that matches the same names and never tries a star's other places."""
    return _BETWEEN.sub(r"(?>[^/]*?\1)", _STARS.sub("[^/]*", pattern))
