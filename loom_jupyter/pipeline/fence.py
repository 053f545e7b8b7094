"""Find the code in a reply."""

from __future__ import annotations

import re

FENCE = "```"
_PROSE = (".md", ".markdown", ".mdx", ".rst", ".txt", ".qmd", ".rmd")
_OPEN = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n]*$", re.M)


def fence_around(path: str, text: str) -> str:
    """Return a fence that no line of a text ends: what is written about code holds fences of its own."""
    longest = max((len(match[1]) for match in _OPEN.finditer(text)), default=0)
    return "`" * max(longest + 1, 4) if longest or path.lower().endswith(_PROSE) else FENCE


def fenced_code(text: str, *, opened: str = "") -> str | None:
    """Return the reply's code block, with a final newline.

    Parameters
    ----------
    opened
        The opening fence, if the prompt already wrote it, so that the reply starts inside the block.

    Returns
    -------
    str or None
        The first block; None if the reply holds none. A block that is never closed is taken to its end.
    """
    fence = opened
    if not opened:
        start = _OPEN.search(text)
        if start is None:
            return None
        fence = start.group(1)
        text = text[start.end() + 1 :]
    close = re.search(rf"^[ \t]*{re.escape(fence[0])}{{{len(fence)},}}[ \t]*$", text, re.M)
    if close:
        text = text[: close.start()]
    elif len(fence) > len(FENCE) and len(_OPEN.findall(text)) % 2 and text.rstrip().endswith(f"\n{FENCE}"):
        text = text.rstrip()[: -len(FENCE)]  # a longer fence that was closed by a usual one
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
