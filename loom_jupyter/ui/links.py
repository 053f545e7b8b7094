"""Links from a notebook's output to the lines of a workspace's files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from loom_jupyter.ui import plain
from loom_jupyter.ui.tags import Html, tag

LONGEST = 1_000
"""Characters of a path that is linked; no file system knows longer ones."""


@dataclass(frozen=True)
class Links:
    """Where links lead: JupyterLab opens what a relative link in a saved output names, at the line.

    Attributes
    ----------
    base
        The workspace's folder as seen from the notebook; None where links lead nowhere (in widgets, which
        JupyterLab does not resolve).
    """

    base: str | None = None

    def to(self, path: str, line: int | None = None, words: str = "") -> Html:
        """Return `words` (the path, if empty) as a link to a line of a file, or as they are."""
        said = plain.line(words, 200) if words else plain.path(path)
        if self.base is None or len(path) > LONGEST or path.startswith("<"):  # <notebook> is no file
            return tag("span", said)
        # Quoted whole, so that no path can be taken for another scheme. Lines count from 0 (RFC 5147).
        href = quote(f"{self.base}/{path}") + (f"#line={line - 1}" if line else "")
        return tag("a", said, href=href)


NOWHERE = Links()


def links(root: str, start: Path) -> Links:
    """Return links into the workspace `root` for a notebook in the folder `start`."""
    try:
        return Links(Path(os.path.relpath(root, start)).as_posix() if root else None)
    except ValueError:  # another drive
        return NOWHERE
