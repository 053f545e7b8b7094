"""What Accept did or is doing, on disk before it is done: enough to finish it, take it back or undo it."""

from __future__ import annotations

import secrets
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from loom_jupyter.edits import paths
from loom_jupyter.errors import EditError

_NAME = "journal.json"


class JournalState(StrEnum):
    """Where a journal stands."""

    ACCEPTING = "accepting"
    ACCEPTED = "accepted"
    UNDOING = "undoing"
    UNDONE = "undone"


def _draft() -> str:
    """Return a name that no file of the user's has, so that a crash leaves nothing but what Loom may remove."""
    return f".loom-{secrets.token_hex(8)}.tmp"


class Entry(BaseModel):
    """One file of the journal.

    Attributes
    ----------
    before, after
        SHA-256 of the bytes; `before` is None for a file that Accept created.
    mode
        Permission bits before, for a person who repairs by hand; an undo keeps those that the file has then.
    folders
        Folders that Accept made for the file, outermost first.
    undone
        Whether the file has been put back.
    blob
        Number of its kept bytes, where that is not its position.
    draft
        Name under which its new bytes are written beside it, before they take its place.
    """

    model_config = ConfigDict(extra="forbid")

    path: str
    before: str | None
    after: str
    mode: int | None
    folders: list[str] = []
    undone: bool = False
    blob: int | None = None
    draft: str = Field(default_factory=_draft, pattern=r"^\.loom-[0-9a-f]{16}\.tmp$")


class Journal(BaseModel):
    """The manifest of a journal folder; each file's bytes from before lie beside it, numbered (``0.before``).

    Attributes
    ----------
    pending
        Paths that an undo under way puts back.
    """

    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    state: JournalState
    entries: list[Entry]
    pending: list[str] = []

    def number(self, entry: Entry) -> int:
        """Return under which number an entry's bytes are kept."""
        return self.entries.index(entry) if entry.blob is None else entry.blob

    @classmethod
    def read(cls, folder: Path) -> Journal | None:
        """Read a journal; None where nothing was ever accepted."""
        try:
            return cls.model_validate_json((folder / _NAME).read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise EditError(
                f"{folder / _NAME} cannot be read ({error.strerror}); check its permissions."
            ) from error
        except ValidationError as error:
            raise EditError(
                f"{folder / _NAME} is damaged; the bytes before are next to it as *.before: copy back what you "
                "miss, then remove that folder."
            ) from error

    def write(self, folder: Path) -> None:
        """Replace the manifest in one step."""
        temporary = folder / f"{_NAME}.new"
        paths.store(temporary, self.model_dump_json(indent=1).encode())
        paths.replace(temporary, folder / _NAME)

    @staticmethod
    def forget(folder: Path) -> None:
        """Drop a manifest whose work was taken back."""
        paths.remove(folder / _NAME)


def state(folder: Path) -> JournalState | None:
    """Say where a journal stands; None where nothing was accepted, or all was taken back."""
    found = Journal.read(folder)
    return found.state if found else None


def before_bytes(folder: Path, number: int) -> bytes:
    """Return the bytes that a file had before Accept."""
    return _blob(folder, number).read_bytes()


def keep_before(folder: Path, number: int, data: bytes) -> None:
    """Store the bytes that a file has before Accept."""
    paths.store(_blob(folder, number), data)


def after_bytes(folder: Path, number: int) -> bytes | None:
    """Return the bytes that a notebook had after Accept; None where they were not kept."""
    try:
        return _blob(folder, number, "after").read_bytes()
    except FileNotFoundError:
        return None


def keep_after(folder: Path, number: int, data: bytes) -> None:
    """Store the bytes that a notebook has after Accept, for an undo cell by cell."""
    paths.store(_blob(folder, number, "after"), data)


def _blob(folder: Path, number: int, side: str = "before") -> Path:
    return folder / f"{number}.{side}"
