"""What the pipeline needs of a model. Backends implement `Model`; nothing else about them is known."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypedDict, runtime_checkable

from loom_jupyter.errors import LoomError

Finish = Literal["stop", "length", "cancelled"]


class Message(TypedDict):
    """One chat message."""

    role: Literal["system", "user", "assistant"]
    content: str


class ModelError(LoomError):
    """The model cannot be found, loaded or run; the message says why and what to do."""


class ModelDiedError(ModelError):
    """The model's process ended in the middle of a call; the next call starts it again.

    Attributes
    ----------
    how
        The signal's name, or ``"status N"``.
    """

    def __init__(self, text: str, how: str = "") -> None:
        super().__init__(text)
        self.how = how


class BrokenBuildError(ModelError):
    """llama.cpp crashed before its first token: the build does not work on this processor.

    Attributes
    ----------
    how
        The signal's name.
    """

    def __init__(self, text: str, how: str = "") -> None:
        super().__init__(text)
        self.how = how


REPAIR = "python -m loom_jupyter.models.build --rebuild"
# Ways to get llama-cpp-python without compiling it: its maintainer's wheels, and conda-forge's package.
PREBUILT = (
    "pip install --only-binary llama-cpp-python llama-cpp-python "
    "--extra-index-url https://abetlen.github.io/llama-cpp-python/whl/cpu",
    "conda install -c conda-forge llama-cpp-python",
)


def broken_build(how: str, what: str = "crashed before its first token") -> BrokenBuildError:
    """Return the error that says so, with the command that repairs it."""
    return BrokenBuildError(
        f"This build of llama.cpp does not work on this processor: it {what} ({how}). Repair it with: {REPAIR}",
        how,
    )


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A loaded model.

    Attributes
    ----------
    name
        Catalog name or file stem.
    n_ctx
        Window in tokens.
    device
        ``"CPU"`` or the GPU's name.
    memory, available
        Bytes that the model takes and bytes of its device.
    """

    name: str
    n_ctx: int
    device: str
    memory: int
    available: int


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and time of one call.

    Attributes
    ----------
    prompt_tokens
        Tokens of the prompt, of which `reused_tokens` were still in the KV cache.
    completion_tokens
        Tokens generated.
    prefill_seconds, decode_seconds
        Time spent on each.
    """

    prompt_tokens: int = 0
    reused_tokens: int = 0
    completion_tokens: int = 0
    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.reused_tokens + other.reused_tokens,
            self.completion_tokens + other.completion_tokens,
            self.prefill_seconds + other.prefill_seconds,
            self.decode_seconds + other.decode_seconds,
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """A completed generation. `text` leaves out the prefix that the caller supplied."""

    text: str
    finish: Finish
    usage: Usage


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another token that could stand at a position, with its log-probability (natural)."""

    token: int
    text: str
    logprob: float


@dataclass(frozen=True, slots=True)
class TokenScore:
    """One token of a text that was force-decoded.

    Attributes
    ----------
    index
        Position among the text's tokens.
    start
        Offset in the text, in characters. Tokens that split a character carry the offset of that character.
    text
        The token's text; empty when the token alone is not valid UTF-8.
    logprob
        Log-probability of this token given all before it.
    alternatives
        The likeliest other tokens, best first.
    """

    index: int
    start: int
    text: str
    logprob: float
    alternatives: tuple[Alternative, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """Leave the scored text at token `index` by putting `token` there instead."""

    index: int
    token: int


@dataclass(frozen=True, slots=True)
class Continuation:
    """What the model wrote after a `Branch`: the branch token's text and all after it, without the stop string.

    `usage` holds the tokens of this branch; the first to come carries the prompt's, which all share.
    """

    branch: Branch
    text: str
    logprob: float
    finish: Finish
    usage: Usage = Usage()


@runtime_checkable
class Model(Protocol):
    """A loaded model. One call at a time; every call honours `cancel` and raises `Cancelled`."""

    @property
    def info(self) -> ModelInfo:
        """What is loaded."""
        ...

    def count(self, text: str) -> int:
        """Return the number of tokens of `text`."""
        ...

    def chat(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int | None = None,
        schema: Mapping[str, Any] | None = None,
        prefix: str = "",
        stop: Sequence[str] = (),
        on_text: Callable[[str], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Reply:
        """Generate a reply.

        Parameters
        ----------
        max_tokens
            Most tokens to generate.
        temperature
            0 is greedy. With a temperature, a missing `seed` means a new one a call.
        schema
            JSON Schema that the reply is constrained to.
        prefix
            Text that the reply starts with; the model continues after it.
        stop
            Strings that end the reply; they are left out of it.
        on_text
            Called with each new piece of text, as it comes.
        cancel
            Set by another thread to stop; `Cancelled` is raised.

        Raises
        ------
        ModelError
            If the prompt does not fit the window, or the backend failed.
        Cancelled
            If `cancel` was set.
        """
        ...


@runtime_checkable
class Filler(Model, Protocol):
    """A model that was also taught to fill the middle of a text."""

    def infill(
        self,
        gaps: Sequence[tuple[str, str]],
        *,
        stop: Sequence[str] = ("\n",),
        max_tokens: int = 64,
        cancel: threading.Event | None = None,
    ) -> Iterable[Reply]:
        """Write greedily what stands between each pair of texts, in their order.

        Nothing comes of a model that has no tokens for that. Closing the iterator ends the work.
        """
        ...


@runtime_checkable
class Scorer(Model, Protocol):
    """A model that can also look at a given text from inside: what the branch search needs."""

    def score(
        self,
        messages: Sequence[Message],
        text: str,
        *,
        prefix: str = "",
        top: int = 5,
        cancel: threading.Event | None = None,
    ) -> tuple[list[TokenScore], Usage]:
        """Force-decode `text` as if it were the reply (after `prefix`), with the `top` best others a token."""
        ...

    def branch(
        self,
        messages: Sequence[Message],
        text: str,
        branches: Sequence[Branch],
        *,
        prefix: str = "",
        stop: Sequence[str] = ("\n",),
        max_tokens: int = 64,
        cancel: threading.Event | None = None,
    ) -> Iterable[Continuation]:
        """Continue `text` greedily from each branch until a stop string.

        The order of the answers is the backend's (from the last position to the first, so that the KV cache is
        only ever rewound); each names its branch. Closing the iterator ends the work.
        """
        ...

    def sample(
        self,
        messages: Sequence[Message],
        temperatures: Sequence[float],
        *,
        max_tokens: int,
        prefix: str = "",
        stop: Sequence[str] = (),
        cancel: threading.Event | None = None,
    ) -> Iterable[Reply]:
        """Generate a reply for each temperature, several side by side; each comes when it is complete.

        Every reply is drawn with a seed of its own. Closing the iterator ends the work.
        """
        ...
