"""What the header of a GGUF file says, read without loading the model."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loom_jupyter.models.protocol import ModelError

MAGIC = b"GGUF"
STRING, ARRAY = 8, 9
SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
LENGTH = struct.Struct("<Q")
LONGEST_NAME = 1 << 16
LARGEST_KEPT_ARRAY = 4096  # per-layer numbers are kept, vocabularies are not
MOST_ENTRIES = 1 << 16
DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Header:
    """Metadata of a GGUF file.

    Attributes
    ----------
    path
        The file.
    size
        Its bytes.
    values
        All entries but long arrays, by their key.
    tensors
        Number of tensors.
    """

    path: Path
    size: int
    values: Mapping[str, Any]
    tensors: int

    @property
    def architecture(self) -> str:
        """Name of the model's architecture, such as ``qwen2``."""
        return str(self.values.get("general.architecture", ""))

    @property
    def name(self) -> str:
        """The name its maker gave it, or the file's stem."""
        return str(self.values.get("general.name") or self.path.stem)

    @property
    def quantization(self) -> str:
        """Name of the quantization, such as ``Q4_K_M``."""
        return FILE_TYPES.get(self.values.get("general.file_type", -1), "unknown")

    @property
    def chat_template(self) -> bool:
        """Whether it can hold a conversation."""
        return bool(self.values.get("tokenizer.chat_template"))

    @property
    def context_length(self) -> int:
        """Window the model was trained with, in tokens."""
        return self.number("context_length", 2048)

    @property
    def layers(self) -> int:
        """Number of blocks."""
        return self.number("block_count")

    def get(self, key: str, default: Any = None) -> Any:
        """Return ``<architecture>.<key>``."""
        return self.values.get(f"{self.architecture}.{key}", default)

    def number(self, key: str, default: int = 0) -> int:
        """Return ``<architecture>.<key>`` as a whole number, or the default where it is none."""
        value = self.get(key, default)
        return int(value) if isinstance(value, int | float) else default

    def per_layer(self, key: str, default: int = 0) -> list[int]:
        """Return a number that may differ from layer to layer, once a layer."""
        value = self.get(key, default)
        if isinstance(value, list) and len(value) >= self.layers:
            return [int(v) for v in value[: self.layers]]
        return [int(value) if isinstance(value, int | float) else default] * self.layers


def read(path: Path) -> Header:
    """Read the header of a GGUF file.

    Raises
    ------
    ModelError
        If there is no such file, or it is not a whole GGUF file.
    """
    if path.is_dir():
        raise ModelError(f"{path} is a folder; give the path of a GGUF file.")
    try:
        size = path.stat().st_size
        if size == 0:
            raise ModelError(f"{path} is empty; download it again.")
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Reader(path, data).header()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}); give the path of a GGUF file.") from error


class _Reader:
    """A cursor over the bytes that never leaves them."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path, self.data, self.at = path, data, 0

    def header(self) -> Header:
        if self.data[:4] != MAGIC:
            raise ModelError(f"{self.path} is not a GGUF file; llama.cpp reads only GGUF.")
        try:
            return self._header()
        except (struct.error, UnicodeDecodeError, IndexError) as error:
            raise ModelError(
                f"{self.path} is cut short or damaged ({error}); delete it and download it again."
            ) from error

    def _header(self) -> Header:
        self.at = 4
        version = self._scalar("<I")
        if version not in (2, 3):
            raise ModelError(f"{self.path} is GGUF version {version}; versions 2 and 3 can be read.")
        tensors, entries = self._scalar("<Q"), self._scalar("<Q")
        if entries > MOST_ENTRIES or tensors > MOST_ENTRIES:
            raise IndexError(f"{entries} entries, {tensors} tensors")
        values = {}
        for _ in range(entries):
            key = self._string(LONGEST_NAME)
            values[key] = self._value(self._scalar("<I"))
        header = Header(self.path, len(self.data), values, tensors)
        if not header.architecture:
            raise ModelError(f"{self.path} names no architecture; it is not a model that llama.cpp can load.")
        return header

    def _value(self, kind: int, depth: int = 0) -> Any:
        if kind == STRING:
            return self._string(len(self.data))
        if kind == ARRAY:
            return self._array(depth + 1)
        if kind not in SCALARS:
            raise IndexError(f"value type {kind}")
        return self._scalar(SCALARS[kind])

    def _array(self, depth: int) -> list[Any] | None:
        kind, count = self._scalar("<I"), self._scalar("<Q")
        if depth > DEEPEST or count > len(self.data):
            raise IndexError(f"an array of {count}")
        if kind == STRING:
            self._skip_strings(count)
            return None
        if kind == ARRAY:
            for _ in range(count):
                self._array(depth + 1)
            return None
        if kind not in SCALARS:
            raise IndexError(f"array type {kind}")
        layout = struct.Struct(SCALARS[kind])
        start, self.at = self.at, self._room(layout.size * count)
        if count > LARGEST_KEPT_ARRAY:
            return None
        return [v for (v,) in layout.iter_unpack(self.data[start : self.at])]

    def _skip_strings(self, count: int) -> None:
        data, at, unpack = self.data, self.at, LENGTH.unpack_from
        end = len(data)
        for _ in range(count):
            at += 8 + unpack(data, at)[0]
            if at > end:
                raise IndexError("a string beyond the end of the file")
        self.at = at

    def _string(self, longest: int) -> str:
        size = self._scalar("<Q")
        if size > longest:
            raise IndexError(f"a string of {size} bytes")
        start, self.at = self.at, self._room(size)
        return self.data[start : self.at].decode("utf-8")

    def _scalar(self, layout: str) -> Any:
        (value,) = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return value

    def _room(self, size: int) -> int:
        if self.at + size > len(self.data):
            raise IndexError("the file ends early")
        return self.at + size


FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
    12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K",
    19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL",
    26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0",
    37: "TQ2_0", 38: "MXFP4",
}  # fmt: skip
