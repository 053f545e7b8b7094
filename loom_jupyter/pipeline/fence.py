"""Find the code in a reply."""

from __future__ import annotations

import re

_OPEN = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n]*$", re.M)


def fenced_code(text: str, *, opened: bool = False) -> str | None:
    """Return the reply's code block, with a final newline.

    Parameters
    ----------
    opened
        True if the prompt already wrote the opening fence, so that the reply starts inside the block.

    Returns
    -------
    str or None
        The first block; None if the reply holds none. A block that is never closed is taken to its end.
    """
    fence = "```"
    if not opened:
        start = _OPEN.search(text)
        if start is None:
            return None
        fence = start.group(1)
        text = text[start.end() + 1 :]
    close = re.search(rf"^[ \t]*{re.escape(fence[0])}{{{len(fence)},}}[ \t]*$", text, re.M)
    if close:
        text = text[: close.start()]
    code = text.strip("\n")
    return code + "\n" if code.strip() else None


def tag_of(path: str) -> str:
    """Return the fence tag of a file: ``python``, ``rust``, …, or nothing."""
    return _TAGS.get(path.rsplit(".", 1)[-1].lower(), "")


_TAGS = {
    "py": "python",
    "pyi": "python",
    "ipynb": "python",
    "js": "javascript",
    "jsx": "jsx",
    "ts": "typescript",
    "tsx": "tsx",
    "rs": "rust",
    "go": "go",
    "c": "c",
    "h": "c",
    "cpp": "cpp",
    "java": "java",
    "sql": "sql",
    "md": "markdown",
    "toml": "toml",
    "yaml": "yaml",
    "yml": "yaml",
    "json": "json",
    "r": "r",
    "jl": "julia",
    "sh": "bash",
}
