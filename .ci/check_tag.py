"""Refuse a release whose tag is not the version of the package: ``python .ci/check_tag.py v0.1.0``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "loom_jupyter" / "__init__.py"


def version(source: str) -> str:
    """Return the version that a package's source names."""
    found = re.search(r'^__version__ = "([^"]+)"$', source, re.M)
    if found is None:
        raise SystemExit("loom_jupyter/__init__.py names no __version__.")
    return found[1]


def main(tag: str) -> int:
    """Return 0 if `tag` is ``v`` and the version, else 1 with a sentence."""
    wanted = f"v{version(PACKAGE.read_text('utf-8'))}"
    if tag == wanted:
        return 0
    sys.stderr.write(f"The tag is {tag}, but the package says {wanted}: change __version__ or the tag.\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
