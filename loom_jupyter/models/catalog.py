"""The models that Loom knows by name."""

from __future__ import annotations

import difflib
import os
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from loom_jupyter.models.protocol import ModelError

VARIABLE = "LOOM_MODEL"
AUTO = "auto"  # the largest model that serves on this machine


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of the catalog.

    Attributes
    ----------
    name
        What the user calls it.
    summary
        What it is good for.
    repo, file
        Where it lies on the hub.
    size
        Bytes.
    sha256
        Of the whole file.
    licence
        SPDX identifier.
    packages
        Packages of the package index whose data files, put together, are the same bytes.
    architecture, shape
        What the file's header will say, to plan for the model before it is here.
    """

    name: str
    summary: str
    repo: str
    file: str
    size: int
    sha256: str
    licence: str
    packages: tuple[str, ...]
    architecture: str = ""
    shape: Mapping[str, int] = field(default_factory=dict)


@cache
def entries() -> dict[str, Entry]:
    """Return the catalog by name, smallest model first."""
    table = _table()
    return {name: _entry(name, data) for name, data in table.items() if isinstance(data, dict)}


def default_name() -> str:
    """Return the model that is used when none is named: ``LOOM_MODEL``, or the catalog's default."""
    return os.environ.get(VARIABLE) or standard().name


def standard() -> Entry:
    """Return the catalog's default."""
    return entries()[str(_table()["default"])]


def resolve_name(model: str | None) -> str:
    """Return what `model` means, without loading anything: a catalog name, a path, a URL or ``"auto"``.

    Raises
    ------
    ModelError
        If it is neither; names the nearest models.
    """
    name = (model or default_name()).strip()
    if name in entries() or name == AUTO or is_url(name) or is_path(name):
        return name
    near = difflib.get_close_matches(name.lower(), entries(), n=2, cutoff=0.4) or list(entries())
    raise ModelError(
        f"Unknown model {name!r}. Did you mean {' or '.join(near)}? The path of a GGUF file works too."
    )


def like_catalog(name: str) -> str | None:
    """Return the name of the catalog (or ``auto``) that `name` is or could be taken for, or None."""
    folded = _folded(name)
    return next((known for known in (*entries(), AUTO) if _folded(known) == folded), None)


def _folded(name: str) -> str:
    """Drop case, width and punctuation."""
    return "".join(c for c in unicodedata.normalize("NFKC", name).casefold() if c.isalnum())


def is_url(name: str) -> bool:
    """Whether `name` is the address of a server."""
    return name.startswith(("http://", "https://"))


def is_path(name: str) -> bool:
    """Whether `name` is meant as a file."""
    if name in entries() or name == AUTO or is_url(name):
        return False
    return name.endswith(".gguf") or os.sep in name or name.startswith("~") or os.path.exists(name)  # noqa: PTH110


@cache
def _table() -> dict[str, object]:
    return tomllib.loads(files("loom_jupyter.models").joinpath("catalog.toml").read_text("utf-8"))


def _entry(name: str, data: dict[str, object]) -> Entry:
    wheels = data.pop("wheels", None)
    packages: tuple[str, ...] = ()
    if isinstance(wheels, dict):
        packages = tuple(wheels["package"].format(n) for n in range(1, wheels["parts"] + 1))
    return Entry(name=name, packages=packages, **data)  # type: ignore[arg-type]
