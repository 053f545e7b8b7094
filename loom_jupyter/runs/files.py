"""The files of a run's folder: opened without waiting, replaced in one step, and always valid UTF-8.

Any process of the user's can put anything there. So what is opened must be an ordinary file (a FIFO would make
its reader wait for ever), a reader never meets a half-written file, and half a character (a lone surrogate, as
exceptions and notebooks may hold) becomes a replacement character.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from loom_jupyter.errors import LoomError

MOST_BYTES = 1024**3
"""Of one file that is read as a whole."""
_HALF = re.compile("[\ud800-\udfff]")
_WAIT_FOR_NOBODY = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class StorageError(LoomError):
    """The system refuses what a run must write or read."""


@contextmanager
def storing(what: str) -> Iterator[None]:
    """Turn the system's refusal into a sentence.

    Raises
    ------
    StorageError
        If the block raises an `OSError`: the disk is full, or the folder may not be written.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{what} cannot be written ({error.strerror or error}); free some space or correct the folder's "
            "permissions, then try again."
        ) from error


def open_file(file: Path, flags: int, mode: int = 0o600) -> int:
    """Open an ordinary file and return its descriptor; never waits for another process.

    Raises
    ------
    OSError
        If it cannot be opened, or is a FIFO, a device, a socket or a folder.
    """
    handle = os.open(file, flags | _WAIT_FOR_NOBODY, mode)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not an ordinary file", str(file))
    return handle


def read(file: Path) -> bytes:
    """Return the bytes of an ordinary file.

    Raises
    ------
    OSError
        If it cannot be read, is not an ordinary file, or is larger than any that Loom writes.
    """
    with os.fdopen(open_file(file, os.O_RDONLY), "rb") as stream:
        if os.fstat(stream.fileno()).st_size > MOST_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(file))
        return stream.read()


def store(file: Path, data: bytes | str | BaseModel) -> None:
    """Put a file (0600) in place in one step, so that no reader sees a part of it.

    Raises
    ------
    StorageError
        If the disk refuses; the old file stays.
    """
    with storing(str(file)):
        handle, name = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(_bytes(data))
            Path(name).replace(file)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise


def json_bytes(model: BaseModel, indent: int | None = None) -> bytes:
    """Return a model as JSON that every reader can decode."""
    try:
        return model.model_dump_json(indent=indent).encode()
    except PydanticSerializationError:  # half a character in one of its texts
        return type(model).model_validate(whole(model.model_dump())).model_dump_json(indent=indent).encode()


def whole(value: Any) -> Any:
    """Return text, or plain data, with a replacement character in place of each half character."""
    if type(value) is str:
        return value if value.isascii() else _HALF.sub("\ufffd", value)
    if isinstance(value, dict):
        return {whole(key): whole(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [whole(part) for part in value]
    return value


def _bytes(data: bytes | str | BaseModel) -> bytes:
    if isinstance(data, BaseModel):
        return json_bytes(data, indent=1)
    return data if isinstance(data, bytes) else whole(data).encode()
