"""What a workspace's settings may do: they come with the repository, so what runs or sends waits for the user.

The user's word is kept outside the workspace, as a digest of its folder and of these values. Another value, or the
same files in another folder, ask again.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from loom_jupyter.context.rules import refusal
from loom_jupyter.errors import SettingsError
from loom_jupyter.models.catalog import AUTO, is_path, is_url, like_catalog
from loom_jupyter.models.servers.keys import DEFAULT
from loom_jupyter.settings import GUARDED, Found, NamedModel, Settings, read, workspace_dir, workspace_folder

RECORD = "trust.json"
LARGEST = 64 * 1024


class Line(NamedTuple):
    """One guarded value: its key, what it is, and what it would do."""

    key: str
    value: str
    does: str


@dataclass
class Trust:
    """What a workspace's settings would run or send, and whether the user said that they may.

    Attributes
    ----------
    root
        The workspace.
    needed
        The values that wait for the user, by key: ``check``, ``network``, ``model``, ``models`` (with addresses
        and names of keys), ``device``. Empty if there is nothing to trust.
    granted
        Whether they count now; True too where nothing is needed.
    changed
        Keys that are not as they were when the user last trusted this folder's settings.
    """

    root: Path
    needed: dict[str, Any]
    granted: bool
    changed: tuple[str, ...]
    found: Found
    told: Callable[[Trust], None] = field(default=lambda _: None, repr=False)

    @property
    def waiting(self) -> tuple[str, ...]:
        """Keys that are ignored until the user trusts them."""
        return () if self.granted else tuple(self.needed)

    @property
    def settings(self) -> Settings:
        """The settings that count now."""
        return self.found.settings if self.granted else self.found.settings.without_guarded()

    @cached_property
    def digest(self) -> str:
        """Identifies folder and values; what is trusted."""
        return _digest({"root": os.fsencode(self.root).hex(), **self.needed})

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should know: what waits, and what in the file cannot be used."""
        return tuple(text for text in (self.notice, self.found.notice) if text)

    @property
    def notice(self) -> str | None:
        """One sentence about what waits for the user; None if nothing does."""
        if self.granted:
            return None
        keys, verb = ", ".join(self.needed), "are" if len(self.needed) > 1 else "is"
        why = (
            "is not trusted"
            if not self.changed
            else f"has changed since you trusted it ({', '.join(self.changed)})"
        )
        return (
            f"[tool.loom] of this workspace {why}, so {keys} {verb} ignored; `%loom trust` shows what it would do."
        )

    @property
    def lines(self) -> list[Line]:
        """What waits or counts, a line each."""
        lines = []
        for key, value in self.needed.items():
            if key == "models":
                lines += [_of_model(name, self.found.settings.models[name]) for name in value]
            else:
                lines.append(Line(key, json.dumps(value), _does(key, value)))
        return lines

    def grant(self) -> None:
        """Let these values count from now on, in this folder.

        Raises
        ------
        SettingsError
            If that cannot be kept outside the workspace.
        """
        if not self.needed:
            return
        keys = {key: _digest(value) for key, value in self.needed.items()}
        _write(self.root, {"digest": self.digest, "keys": keys, "granted": time.time()})
        self.granted, self.changed = True, ()
        self.told(self)

    def revoke(self) -> None:
        """Let them count no longer."""
        (workspace_folder(self.root) / RECORD).unlink(missing_ok=True)
        self.granted, self.changed = not self.needed, ()
        self.told(self)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        root = "".join(c if c.isprintable() else "?" for c in str(self.root))
        if not self.needed:
            return f"[tool.loom] of {root} runs nothing and sends nothing: there is nothing to trust."
        state = "trusted" if self.granted else "not trusted, and ignored"
        width = max(len(line.key) for line in self.lines)
        lines = [f"  {line.key:<{width}}  {line.value}\n  {'':<{width}}  {line.does}" for line in self.lines]
        return "\n".join([f"[tool.loom] of {root} ({state}):", *lines])


def look(root: Path, told: Callable[[Trust], None] = lambda _: None) -> Trust:
    """Read a workspace's settings and what the user said of them; never raises.

    Parameters
    ----------
    root
        The workspace.
    told
        Called when the user's word changes.
    """
    root = root.resolve()
    found = _usable(read(root))
    needed = _needed(found.settings)
    trust = Trust(root, needed, not needed, (), found, told)
    record = _record(root) if needed else None
    if record is not None:
        trust.granted = record["digest"] == trust.digest
        before, now = record["keys"], {key: _digest(value) for key, value in needed.items()}
        trust.changed = tuple(key for key in GUARDED if before.get(key) != now.get(key))
    return trust


def _usable(found: Found) -> Found:
    """Leave out what only other rooms can judge: rules that are not there, and names of the catalog."""
    settings, problems = found.settings, list(found.problems)
    models, rules = dict(settings.models), dict(settings.rules)
    for name in settings.models:
        if (other := like_catalog(name)) is not None:
            problems.append(f"models.{name} cannot be redefined: {other} is a name of Loom's catalog")
            del models[name]
    for name in settings.rules:
        if (why := refusal(name)) is not None:
            problems.append(why)
            del rules[name]
    return Found(settings.model_copy(update={"models": models, "rules": rules}), tuple(problems))


def _needed(settings: Settings) -> dict[str, Any]:
    told = settings.model_dump(mode="json", include=set(GUARDED), exclude_defaults=True)
    return {key: told[key] for key in GUARDED if told.get(key)}


def _of_model(name: str, model: NamedModel) -> Line:
    given = model.model_dump(exclude_defaults=True)
    value = ", ".join(f"{key} = {json.dumps(value)}" for key, value in given.items())
    does = _sent(model.url, model.key) if model.url else "this file is loaded when the model is chosen"
    return Line(f"models.{name}", value, does)


def _does(key: str, value: Any) -> str:
    if key == "model":
        if is_url(value):
            return _sent(value, None)
        catalogd = value == AUTO or not is_path(value)
        return "this model is used" + ("" if catalogd else ": this file is loaded")
    return {
        "check": "runs for every candidate, in a copy of the workspace",
        "network": "checks reach the network",
        "device": "where a local model is loaded",
    }[key]


def _sent(url: str, key: str | None) -> str:
    host = urlsplit(url).netloc
    return f"tasks, code and {key or f'{DEFAULT} (if you have one)'} are sent to {host} when the model is used"


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


# --- what the user said ---


def _record(root: Path) -> dict[str, Any] | None:
    """Return what the user said; None if it is not there, or may be another's word."""
    file = workspace_folder(root) / RECORD
    if _within(file, root):
        return None
    try:
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as opened:
            known = os.fstat(descriptor)
            own = not hasattr(os, "geteuid") or (known.st_uid == os.geteuid() and not known.st_mode & 0o022)
            if not (own and stat.S_ISREG(known.st_mode)):
                return None
            record = json.loads(opened.read(LARGEST))
        return {"digest": str(record["digest"]), "keys": dict(record["keys"])}
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None  # as good as none: the user is asked again


def _write(root: Path, record: dict[str, Any]) -> None:
    file = workspace_folder(root) / RECORD
    if _within(file, root):
        raise SettingsError(
            f"Loom's data folder {file.parent} lies in this workspace, so a repository could bring your consent "
            "along; set JUPYTER_DATA_DIR to a folder outside, or give --check and --model each time."
        )
    fresh = file.with_suffix(".new")
    try:
        workspace_dir(root)
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            json.dump(record, opened)
        fresh.replace(file)
    except OSError as error:
        raise SettingsError(
            f"{file} cannot be written ({error.strerror or error}); look at its folder."
        ) from error


def _within(file: Path, root: Path) -> bool:
    return file.parent.resolve().is_relative_to(root)
