"""What the header of a GGUF file says, read without loading the model."""

from __future__ import annotations

import math
import os
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from loom_jupyter.models.protocol import ModelError

MAGIC = b"GGUF"
STRING, ARRAY = 8, 9
SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
LENGTH = struct.Struct("<Q")
LONGEST_NAME = 1 << 16
LARGEST_KEPT_ARRAY = 4096  # per-layer numbers are kept, vocabularies are not
MOST_ENTRIES = 1 << 16
MOST_ELEMENTS = 1 << 22  # the largest vocabularies have a quarter of a million tokens
DEEPEST = 4
MOST_DIMENSIONS = 4
ENCODERS = frozenset(
    {"bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "neo-bert", "modern-bert", "t5encoder"}
)
WINDOW = 1 << 20  # bytes read together
LONGEST_TEXT = 1 << 26  # bytes of one entry; the longest templates have some ten thousand
FEW = 256  # strings that are walked rather than leapt over
MOST_LAYERS = 4096


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of the file: shape (fastest dimension first), ggml type and bytes (0 if the type is unknown)."""

    shape: tuple[int, ...]
    type: int
    size: int


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
        The tensors by name.
    """

    path: Path
    size: int
    values: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

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
        return _whole(value, default)

    def per_layer(self, key: str, default: int = 0) -> list[int]:
        """Return a number that may differ from layer to layer, once a layer."""
        value = self.get(key, default)
        if isinstance(value, list) and len(value) >= self.layers:
            return [_whole(v, default) for v in value[: self.layers]]
        return [_whole(value, default)] * self.layers


def check_chat(header: Header) -> None:
    """Raise if the file is a model of another kind than one that writes text in a conversation."""
    if header.architecture == "clip" or header.values.get("general.type") == "mmproj":
        raise ModelError(f"{header.path.name} is the vision part of a model (mmproj); give the model's own file.")
    if header.architecture in ENCODERS or header.get("pooling_type") is not None:
        raise ModelError(f"{header.path.name} makes embeddings and cannot write; take an 'Instruct' model.")
    if header.values.get("split.count", 1) > 1 and header.values.get("split.no", 0) != 0:
        raise ModelError(f"{header.path.name} is one part of several; give the first part (…-00001-of-…).")
    if not header.chat_template:
        raise ModelError(
            f"{header.path.name} has no chat template, so it cannot be asked; take an 'Instruct' model."
        )


def _whole(value: Any, default: int) -> int:
    """Return a count; what is not a number, or is negative, counts as nothing."""
    return int(value) if isinstance(value, int | float) and math.isfinite(value) and value >= 0 else default


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
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # opening a pipe would wait for ever
            raise ModelError(f"{path} is not a file; give the path of a GGUF file.")
        if found.st_size == 0:
            raise ModelError(f"{path} is empty; download it again.")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            return _Reader(path, file, size).header()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}); give the path of a GGUF file.") from error


class _Reader:
    """A cursor over the file that never leaves it.

    The file is read, not mapped: a mapped one that somebody cuts meanwhile would end the process.
    """

    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self.path, self.file, self.size, self.at = path, file, size, 0
        self._window, self._start = b"", 0

    def header(self) -> Header:
        if self.size < len(MAGIC) or self._bytes(len(MAGIC)) != MAGIC:
            raise ModelError(f"{self.path} is not a GGUF file; llama.cpp reads only GGUF.")
        try:
            return self._header()
        except (struct.error, UnicodeDecodeError, IndexError) as error:
            raise ModelError(
                f"{self.path} is cut short or damaged ({error}); delete it and download it again."
            ) from error

    def _header(self) -> Header:
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
        header = Header(self.path, self.size, values, self._tensors(tensors, values))
        if not header.architecture:
            raise ModelError(f"{self.path} names no architecture; it is not a model that llama.cpp can load.")
        if not 0 <= header.layers <= MOST_LAYERS:
            raise IndexError(f"{header.layers} layers")
        if header.context_length < 1:
            raise IndexError(f"a window of {header.context_length}")
        return header

    def _tensors(self, count: int, values: Mapping[str, Any]) -> dict[str, Tensor]:
        found, end = {}, 0
        for _ in range(count):
            name = self._string(LONGEST_NAME)
            shape = tuple(self._scalar("<Q") for _ in range(min(self._scalar("<I"), MOST_DIMENSIONS + 1)))
            if len(shape) > MOST_DIMENSIONS:
                raise IndexError(f"tensor {name} has {len(shape)} dimensions")
            kind, offset = self._scalar("<I"), self._scalar("<Q")
            elements, size = BLOCKS.get(kind, (1, 0))
            found[name] = Tensor(shape, kind, math.prod(shape) // elements * size)
            end = max(end, offset + found[name].size)
        alignment = max(1, _whole(values.get("general.alignment"), 32))
        start = -(-self.at // alignment) * alignment
        if found and start + end > self.size:
            raise IndexError(f"{start + end - self.size:,} bytes are missing")
        return found

    def _value(self, kind: int, depth: int = 0) -> Any:
        if kind == STRING:
            return self._string(LONGEST_TEXT)
        if kind == ARRAY:
            return self._array(depth + 1)
        if kind not in SCALARS:
            raise IndexError(f"value type {kind}")
        return self._scalar(SCALARS[kind])

    def _array(self, depth: int) -> list[Any] | None:
        kind, count = self._scalar("<I"), self._scalar("<Q")
        if depth > DEEPEST or count > min(self.size, MOST_ELEMENTS):
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
        if count > LARGEST_KEPT_ARRAY:
            self.at = self._room(layout.size * count)
            return None
        return [v for (v,) in layout.iter_unpack(self._bytes(layout.size * count))]

    def _skip_strings(self, count: int) -> None:
        while count > 0:
            leapt = self._leap(count) if count > FEW else 0
            count -= leapt
            stride = min(count, FEW if leapt > FEW else 16 * FEW)  # past the odd strings that ended the leap
            self._walk(stride)
            count -= stride

    def _walk(self, count: int) -> None:
        unpack = LENGTH.unpack_from
        for _ in range(count):
            place = self._load(LENGTH.size)
            self.at = self._room(LENGTH.size + unpack(self._window, place)[0])

    def _leap(self, count: int) -> int:
        """Skip up to `count` strings of the next window at once; return how many.

        Where eight bytes read as a number below 256, a string's length probably stands. The guess counts only as
        far as each such place is where the string before it ends, which is what walking would find.
        """
        import numpy as np

        place = self._load(min(WINDOW, self.size - self.at))
        window = np.frombuffer(self._window[place : place + WINDOW], np.uint8)
        small = np.zeros(len(window), bool)
        for shift in range(8):
            numbers = np.frombuffer(window[shift : len(window) - (len(window) - shift) % 8], "<u8")
            small[shift : shift + 8 * len(numbers) : 8] = numbers < 256
        places = np.flatnonzero(small)
        ends = places + 8 + window[places]
        if not len(places) or places[0] != 0:
            return 0
        broken = np.flatnonzero(places[1:] != ends[:-1])
        skipped = min(count, int(broken[0]) if len(broken) else len(places) - 1)
        if skipped:
            self.at += int(ends[skipped - 1])
        return skipped

    def _string(self, longest: int) -> str:
        size = self._scalar("<Q")
        if size > longest:
            raise IndexError(f"a string of {size} bytes")
        return self._bytes(size).decode("utf-8")

    def _scalar(self, layout: str) -> Any:
        size = struct.calcsize(layout)
        place = self._load(size)
        (value,) = struct.unpack_from(layout, self._window, place)
        self.at += size
        return value

    def _bytes(self, size: int) -> bytes:
        place = self._load(size)
        self.at += size
        return self._window[place : place + size]

    def _load(self, size: int) -> int:
        """Have the next `size` bytes in the window; return where they begin in it."""
        self._room(size)
        place = self.at - self._start
        if not 0 <= place <= len(self._window) - size:
            self.file.seek(self.at)
            self._start, self._window, place = self.at, self.file.read(max(size, WINDOW)), 0
            if len(self._window) < size:
                raise IndexError("the file was cut while it was read")
        return place

    def _room(self, size: int) -> int:
        """Return where the next `size` bytes end."""
        if self.at + size > self.size:
            raise IndexError("the file ends early")
        return self.at + size


# Elements and bytes of one block, by ggml type.
BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82),
    23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
    34: (256, 54), 35: (256, 66), 39: (32, 17),
}  # fmt: skip
FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
    12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K",
    19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL",
    26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0",
    37: "TQ2_0", 38: "MXFP4",
}  # fmt: skip
