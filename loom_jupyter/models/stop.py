"""How a running evaluation is told to stop."""

from __future__ import annotations

import ctypes
import sys

from loom_jupyter.errors import Cancelled


class Stop:
    """A flag that llama.cpp itself looks at between the nodes of its graph.

    llama.cpp asks a C function ``bool f(void *data)``. Ours is libc's `strlen` on a two-byte buffer: an empty
    string is false, a string of one character is true; so asking costs nothing and never takes the
    interpreter's lock.
    """

    def __init__(self) -> None:
        libc = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None)
        self._flag = ctypes.create_string_buffer(2)
        self.function = libc.strlen
        self.data = ctypes.cast(self._flag, ctypes.c_void_p)

    def set(self) -> None:
        """Ask for a stop; safe from any thread."""
        self._flag[0] = b"\x01"

    def clear(self) -> None:
        """Forget the request."""
        self._flag[0] = b"\x00"

    @property
    def asked(self) -> bool:
        """Whether a stop was asked for."""
        return self._flag[0] != b"\x00"

    def check(self) -> None:
        """Raise `Cancelled` if a stop was asked for."""
        if self.asked:
            raise Cancelled
