"""What the user may set, and where Loom keeps its files."""

from __future__ import annotations

import hashlib
import os
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from loom_jupyter.errors import LoomError, SettingsError

MOST_POINTS = 1e6
"""What a rule may be worth; points are added up in whole 128ths, which larger ones would overflow."""


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

    url: str | None = Field(default=None, pattern=r"^https?://[^\s#]+$")
    path: str | None = None
    model: str = ""
    window: int | None = Field(default=None, ge=256)
    key: str | None = Field(default=None, pattern=r"^LOOM_[A-Z0-9_]+$")

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

    Attributes
    ----------
    model
        Catalogue name, path of a GGUF file, address of a server, ``"auto"`` for the largest that serves on this
        machine, or None for the catalogue's default.
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

    model: str | None = None
    device: str | None = None
    unload_after: float | None = Field(default=None, gt=0)
    check: str | None = None
    check_timeout: float = Field(default=120.0, gt=0)
    expand: bool = False
    network: bool = False
    budget: float = Field(default=120.0, gt=0)
    notebook: bool = True
    models: dict[str, NamedModel] = Field(default_factory=dict)
    rules: dict[str, Annotated[float, Field(ge=-MOST_POINTS, le=MOST_POINTS, allow_inf_nan=False)]] = Field(
        default_factory=dict
    )

    @classmethod
    def load(cls, root: Path) -> Settings:
        """Read ``[tool.loom]`` of the workspace, or the defaults where there is none."""
        file = root / "pyproject.toml"
        try:
            table = tomllib.loads(file.read_text("utf-8")).get("tool", {}).get("loom", {})
            return cls.model_validate(table)
        except FileNotFoundError:
            return cls()
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise SettingsError(f"{file} cannot be read ({error}); mend it and run again.") from error
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            known = ", ".join(cls.model_fields)
            raise SettingsError(f"[tool.loom] {key} in {file}: {first['msg']}; known keys are {known}.") from error


def data_dir() -> Path:
    """Folder that holds every workspace's index and runs: ``<jupyter data dir>/loom``."""
    from jupyter_core.paths import jupyter_data_dir

    return Path(jupyter_data_dir()) / "loom"


def workspace_dir(root: Path) -> Path:
    """Folder of one workspace's index and runs; made private (0700) on first use.

    The key is the folder's name and a hash of its resolved path, so that two clones never share an index.
    """
    root = root.resolve()
    key = hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in root.name) or "root"
    folder = data_dir() / f"{name[:40]}-{key}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise LoomError(
            f"Loom's data folder {folder} cannot be made ({error.strerror}); set JUPYTER_DATA_DIR to a folder "
            "that you may write to."
        ) from error
    return folder
