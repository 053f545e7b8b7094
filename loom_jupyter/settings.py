"""What the user may set, and where Loom keeps its files."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from loom_jupyter.errors import LoomError, SettingsError

FILE = "pyproject.toml"
GUARDED = ("check", "network", "model", "models", "device")
"""Keys that run or send something: they count only once the user trusts them (`loom_jupyter.trust`)."""
LARGEST = 256 * 1024  # bytes of pyproject.toml that are read
DEEPEST = 32  # parts of a dotted key: tomllib takes time in proportion to their square
MAX_ENTRIES = {"models": 50, "rules": 200}  # entries of these tables
TOLD = 5  # problems that one notice names
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,63}")
# Quoted parts of more than 200 characters do not count: there cannot be many of them.
_PART = r"""(?:[\w-]++|"(?:[^"\\\n]|\\.){0,200}+"|'[^'\n]{0,200}+')"""
_DEEP = re.compile(rf"(?<![\w-]){_PART}(?:[ \t]*\.[ \t]*{_PART}){{{DEEPEST}}}")
_BOMS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}

Seconds = Annotated[float, Field(gt=0, le=3_600, allow_inf_nan=False)]
Points = Annotated[float, Field(ge=-1_000, le=1_000, allow_inf_nan=False)]


def _address(url: str) -> str:
    """Return an address that cannot be taken for another: visible ASCII, without a user name.

    Raises
    ------
    ValueError
        If it is none.
    """
    if re.fullmatch(r"""https?://[!"$-~]+""", url) is None:
        raise ValueError("an address is http:// or https:// and visible ASCII characters, without '#'")
    if "@" in url.split("/")[2] or "\\" in url:
        raise ValueError("an address holds no user name and no password; name a key instead")
    return url


class NamedModel(BaseModel):
    """One ``[tool.loom.models.NAME]`` table: a model of the user's own, called by that name.

    Attributes
    ----------
    url
        Address of a server, such as ``http://localhost:11434/v1``; or else
    path
        a GGUF file.
    model
        What the server calls the model; empty if it has only one.
    window
        Tokens: asked of Ollama and llama.cpp; said of servers that do not tell theirs.
    key
        Name of the key: an environment variable or an entry of the keyring. It begins with ``LOOM_``, so that no
        project can send another secret of yours to a server of its own. Never the key itself.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: str | None = Field(default=None, max_length=1_000)
    path: str | None = Field(default=None, max_length=1_000)
    model: str = Field(default="", max_length=200)
    window: int | None = Field(default=None, ge=256, le=16_777_216)
    key: str | None = Field(default=None, pattern=r"^LOOM_[A-Z0-9_]{1,100}$")

    @field_validator("url")
    @classmethod
    def _plain(cls, url: str | None) -> str | None:
        return None if url is None else _address(url)

    @model_validator(mode="after")
    def _one_place(self) -> NamedModel:
        if (self.url is None) == (self.path is None):
            raise ValueError("give either url or path")
        return self

    @property
    def place(self) -> str:
        """What the model is called without its name: a path, or an address with the server's name for it."""
        return self.path or f"{self.url}#{self.model}".removesuffix("#")


class Settings(BaseModel):
    """The ``[tool.loom]`` table of a workspace's ``pyproject.toml``; every key has a default.

    The file comes with the repository, so every value is bounded, and those of `GUARDED` wait for the user.

    Attributes
    ----------
    model
        Catalog name, path of a GGUF file, address of a server, ``"auto"`` for the largest that serves on this
        machine, or None for the catalog's default.
    device
        Where a local model is loaded: ``"CPU"``, or a GPU's name (``"CUDA1"`` too); None takes the GPUs that
        llama.cpp can use, if any.
    unload_after
        Seconds after which a model that no run uses gives its memory back; None keeps it until the kernel ends.
    check
        Check command used when a run names none.
    check_timeout
        Seconds that one check may take before its process group is ended.
    expand
        Whether the Explorer may look around what it is offered: callers, callees, tests, definitions. Off, because
        the choice of a model below 3B was measured to add next to nothing to the ranking.
    network
        Whether checks may reach the network. Without it they are cut off where the system allows that.
    budget
        Seconds that the Coder may search before the best candidate so far goes to review.
    notebook
        Whether the notebook that a task is given in is evidence: its last exception, cells and live variables.
    models
        Models of the user's own, by name.
    rules
        Points that override the defaults of the rules table, by rule name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str | None = Field(default=None, max_length=1_000)
    device: str | None = Field(default=None, max_length=100)
    unload_after: float | None = Field(default=None, ge=1, le=604_800, allow_inf_nan=False)
    check: str | None = Field(default=None, max_length=2_000)
    check_timeout: Seconds = 120.0
    expand: bool = False
    network: bool = False
    budget: Seconds = 120.0
    notebook: bool = True
    models: dict[str, NamedModel] = Field(default_factory=dict)
    rules: dict[str, Points] = Field(default_factory=dict)

    @field_validator("model")
    @classmethod
    def _plain(cls, model: str | None) -> str | None:
        if model is not None and model.lower().startswith(("http:", "https:")):
            _address(model.partition("#")[0])
        return model

    @classmethod
    def load(cls, root: Path) -> Settings:
        """Return what counts of ``[tool.loom]`` whether the user trusts it or not: all but `GUARDED`."""
        return read(root).settings.without_guarded()

    def without_guarded(self) -> Settings:
        """Return these settings without what runs or sends something."""
        return self.model_copy(
            update={key: type(self).model_fields[key].get_default(call_default_factory=True) for key in GUARDED}
        )


@dataclass(frozen=True)
class Found:
    """What a workspace's ``pyproject.toml`` says: what can be used of it, and what is wrong with the rest."""

    settings: Settings
    problems: tuple[str, ...] = ()

    @property
    def notice(self) -> str | None:
        """One sentence about the problems, with the remedy; None if there are none."""
        if not self.problems:
            return None
        more = len(self.problems) - TOLD
        told = "; ".join(self.problems[:TOLD]) + (f"; and {more} more" if more > 0 else "")
        return f"{FILE}: {told}. Loom goes on without that; correct it there."


def read(root: Path) -> Found:
    """Read ``[tool.loom]`` of a workspace, key by key; what cannot be used is left out and said.

    Never raises: the file is a stranger's, and may be anything.
    """
    try:
        table = _table(root / FILE)
    except SettingsError as error:
        return Found(Settings(), (str(error),))
    good: dict[str, Any] = {}
    problems: list[str] = []
    for key, value in table.items():
        if key not in Settings.model_fields:
            problems.append(_unknown(key) if len(problems) < TOLD else key)
        elif key not in MAX_ENTRIES or not isinstance(value, dict):
            good.update(_valid({key: value}, problems) or {})
        elif len(value) > MAX_ENTRIES[key]:
            problems.append(f"[tool.loom.{key}] has more than {MAX_ENTRIES[key]} entries")
        else:
            made = {name: _one(key, name, item, problems) for name, item in value.items()}
            good[key] = {name: one for name, one in made.items() if one is not None}
    return Found(Settings.model_validate(good), tuple(problems))


def _one(key: str, name: str, value: Any, problems: list[str]) -> Any:
    """Return one entry of a table of tables, or None if it cannot be used."""
    if key == "models" and NAME.fullmatch(name) is None:
        problems.append(f"models.{_short(name)} is not a name: use letters, digits and . _ : + -")
        return None
    found = _valid({key: {name: value}}, problems)
    return None if found is None else found[key][name]


def _valid(table: dict[str, Any], problems: list[str]) -> dict[str, Any] | None:
    """Return a part of the table as it is, if it makes sense."""
    try:
        made = Settings.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(_short(str(part)) for part in first["loc"])
        problems.append(f"[tool.loom] {place}: {first['msg'].removeprefix('Value error, ')}")
        return None
    return {key: getattr(made, key) for key in table}


def _unknown(key: str) -> str:
    near = get_close_matches(key[:40], Settings.model_fields, 1, 0.6)
    hint = f"did you mean {near[0]}?" if near else f"this version knows {', '.join(Settings.model_fields)}"
    return f"[tool.loom] {_short(key)} is unknown ({hint})"


def _short(text: str) -> str:
    """Return a key of the file for a message."""
    return text if NAME.fullmatch(text) else repr(text[:40])


def _table(file: Path) -> dict[str, Any]:
    """Return ``[tool.loom]``; empty where there is none.

    Raises
    ------
    SettingsError
        If the file is not TOML, or none that could be read without harm.
    """
    try:
        text = _text(file)
        if deep := _DEEP.search(text):
            line = text.count("\n", 0, deep.start()) + 1
            raise SettingsError(f"line {line} holds a key of more than {DEEPEST} parts")
        found: Any = tomllib.loads(text)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(f"the file cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"the file is not UTF-8 (byte {error.start:,}); save it as UTF-8") from error
    except ValueError as error:  # tomllib's own, and of numbers of too many digits
        said = " ".join(str(error).split())[:200]
        raise SettingsError(f"the file is not TOML ({said})") from error
    except RecursionError as error:
        raise SettingsError("the file is nested too deeply") from error
    table: dict[str, Any] = found
    for key in ("tool", "loom"):
        inner = table.get(key, {})
        if not isinstance(inner, dict):
            raise SettingsError(f"{key} is not a table")
        table = inner
    return table


def _text(file: Path) -> str:
    """Return the text of a regular file of a moderate size, without waiting for anything.

    Raises
    ------
    SettingsError
        If it is a device, a pipe or a folder, too large, or not UTF-8.
    """
    regular = SettingsError("not a regular file, but a device, a pipe or a folder")
    if not stat.S_ISREG(file.stat().st_mode):  # before it is opened: opening a device can act on it
        raise regular
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(file, flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise regular
        data = b""
        while len(data) <= LARGEST and (piece := os.read(descriptor, LARGEST + 1 - len(data))):
            data += piece
    finally:
        os.close(descriptor)
    if len(data) > LARGEST:
        raise SettingsError(f"the file is larger than {LARGEST // 1024} KiB")
    if data[:2] in _BOMS:
        raise SettingsError(f"the file is {_BOMS[data[:2]]}; save it as UTF-8")
    return data.decode("utf-8-sig")


def data_dir() -> Path:
    """Folder that holds every workspace's index and runs: ``<jupyter data dir>/loom``."""
    from jupyter_core.paths import jupyter_data_dir

    return Path(jupyter_data_dir()) / "loom"


def workspace_dir(root: Path) -> Path:
    """Folder of one workspace's index and runs; made private (0700) on first use.

    The key is the folder's name and a hash of its resolved path, so that two clones never share an index.
    """
    folder = workspace_folder(root)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise LoomError(
            f"Loom's data folder {folder} cannot be made ({error.strerror}); set JUPYTER_DATA_DIR to a folder "
            "that you may write to."
        ) from error
    return folder


def workspace_folder(root: Path) -> Path:
    """Return the folder of `workspace_dir`, whether it is there or not."""
    root = root.resolve()
    key = hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in root.name) or "root"
    return data_dir() / f"{name[:40]}-{key}"
