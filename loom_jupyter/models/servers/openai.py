"""A model behind an OpenAI-compatible server: llama-server, LM Studio, Ollama, vLLM, SGLang and others."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loom_jupyter.models.protocol import Finish, Message, ModelError, ModelInfo, Reply, Usage
from loom_jupyter.models.servers import keys
from loom_jupyter.models.servers.transport import CutOffError, StatusError, Transport
from loom_jupyter.models.stream import Characters

# The part of a server's reply that continues a given prefix, whether the server went on after it or started over.
#
# Few servers continue an assistant's message; the others write a sentence and open the code block themselves. A
# stop
# string that ends a block would then end the reply before it, so with a prefix the stop strings are looked for
# here.

FENCE = "```"
_OPENING = re.compile(r"^[ \t]*```[\w.+-]*[ \t]*\n", re.M)


class Continued:
    """Collects a reply as it comes.

    Parameters
    ----------
    prefix
        What the reply was to continue; empty if nothing.
    stop
        Strings that end it.
    """

    def __init__(self, prefix: str, stop: Sequence[str]) -> None:
        self._prefix = prefix
        self._stop = [s for s in stop if s] if prefix else []
        self._raw = ""
        self._told = ""

    @property
    def stopped(self) -> bool:
        """Whether a stop string has come."""
        return len(self.text) < len(self._after())

    @property
    def text(self) -> str:
        """What has come so far, without the prefix and up to the first stop string."""
        after = self._after()
        ends = [at for s in self._stop if (at := after.find(s)) >= 0]
        return after[: min(ends, default=len(after))]

    def feed(self, piece: str) -> str:
        """Take a piece in; return what is new and certain."""
        if not self._prefix:
            self._raw += piece
            return piece
        self._raw += piece
        return self._new(self._certain())

    def close(self) -> str:
        """Return what was held back."""
        return self._new(self.text) if self._prefix else ""

    def _new(self, text: str) -> str:
        if not text.startswith(self._told):  # a block was opened after a sentence that was told already
            self._told = ""
        piece, self._told = text[len(self._told) :], text
        return piece

    def _certain(self) -> str:
        """Leave out an end that may be the beginning of the prefix, or of a stop string."""
        if self._prefix.startswith(self._raw):
            return ""
        text = self.text
        held = max((n for s in self._stop for n in range(1, len(s)) if text.endswith(s[:n])), default=0)
        return text[: len(text) - held]

    def _after(self) -> str:
        """Return what follows the prefix where the server wrote it itself, or else everything."""
        if not self._prefix.startswith(FENCE):
            return self._raw.removeprefix(self._prefix)
        opening = _OPENING.search(self._raw)
        if opening is None or (opening.start() > 0 and not self._opens(opening)):
            return self._raw
        return self._raw[opening.end() :]

    def _opens(self, fence: re.Match[str]) -> bool:
        """Whether a fence after some text opens a block, and does not close the one that the prefix opened."""
        if fence[0].strip() != FENCE:
            return True
        return self._prefix.strip() == FENCE and FENCE in self._raw[fence.end() :]


UNKNOWN_WINDOW = 8192  # tokens, where the server does not tell
WINDOW_KEYS = ("n_ctx", "max_model_len", "context_length", "max_context_length")
# How a schema is asked for; a server that refuses or ignores one way gets the next.
MODES = ("json_schema", "json_object", "plain")
# Ways to count tokens, by server: path next to the base address, request, key of the answer.
COUNTERS: tuple[tuple[str, str, str], ...] = (
    ("/extras/tokenize/count", "input", "count"),  # llama-cpp-python
    ("/tokenize", "content", "tokens"),  # llama-server
    ("/tokenize", "prompt", "count"),  # vLLM
)
FORMAT_KEYS = frozenset({"response_format", "format"})
REFUSALS = frozenset({400, 422, 500, 501})  # what servers answer to a response format that they do not know
LETTERS = re.compile(r"[^\W\d_]+")


class Server:
    """A model that a server runs; implements `Model`.

    Parameters
    ----------
    address
        Base address and, after ``#``, the model's name: ``http://localhost:8080/v1#qwen``.
    n_ctx
        The server's window in tokens, where it does not tell.
    key
        Name of the key, see `loom_jupyter.models.servers.keys`; None is ``LOOM_API_KEY``.

    Raises
    ------
    ModelError
        If the server is down, wants a key or lacks the model.
    Cancelled
        If `cancel` was set.
    """

    _goes_on: Mapping[str, Any] = {}  # asks this server to go on after a prefix, where it can surely do so

    def __init__(
        self,
        address: str,
        *,
        n_ctx: int | None = None,
        key: str | None = None,
        cancel: threading.Event | None = None,
    ) -> None:
        base, _, name = address.partition("#")
        self.address = address
        self._key = key or keys.DEFAULT
        secret = keys.key_for(base, key)
        self._http = Transport(base, secret)
        self._root = Transport(server_root(base), secret)
        self._counter: tuple[str, str, str] | None = None
        self._looked_for_counter = False
        self._mode = 0
        self._mode_works = False
        self._info = self._open(name, n_ctx, cancel)

    @property
    def info(self) -> ModelInfo:
        """What the server runs; its memory is its own affair."""
        return self._info

    @property
    def alive(self) -> bool:
        """Always: there is no process of ours that could have died."""
        return True

    def log_to(self, log: Path) -> None:
        """Do nothing: the server keeps its own log."""

    def close(self) -> None:
        """Do nothing: no connection is kept."""

    def stop_calls_with(self, cancel: threading.Event | None) -> None:
        """Let the one who has the model now stop any of its calls, also those that are told no `cancel`."""
        self._http.borrower = self._root.borrower = cancel

    def count(self, text: str) -> int:
        """Return the number of tokens of `text`, by the server's tokenizer or else by a cautious guess."""
        exact = self._count(text)
        return exact if exact is not None else len(text.encode("utf-8", "replace")) // 3 + 1

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
        """Generate a reply; see `Model.chat`."""
        told = [*messages, Message(role="assistant", content=prefix)] if prefix else list(messages)
        options: dict[str, Any] = {"temperature": temperature}
        if seed is not None:
            options["seed"] = seed
        if prefix and self._goes_on:
            options |= self._goes_on
            prefix = ""  # none of it comes again
        if stop and not prefix:  # what ends a block would end a reply that opens its own
            options["stop"] = list(stop)
        body = self._body(told, max_tokens, options)
        if schema is None:
            return self._ask(body, prefix, stop, on_text, cancel)
        return self._constrained(body, schema, prefix, stop, on_text, cancel)

    # How this kind of server is spoken with; `loom_jupyter.models.servers.ollama` speaks in another way.

    def _open(self, name: str, n_ctx: int | None, cancel: threading.Event | None) -> ModelInfo:
        model = self._choose(name, cancel)
        window = n_ctx or next((int(model[k]) for k in WINDOW_KEYS if model.get(k)), 0)
        window = window or self._slot(cancel) or int(model.get("n_ctx_train") or UNKNOWN_WINDOW)
        return ModelInfo(str(model["id"]), window, urlsplit(self._http.base).netloc, 0, 0)

    def _slot(self, cancel: threading.Event | None) -> int:
        """Return the window of one of llama-server's slots, or 0; the trained one does not tell it."""
        try:
            return int(self._root.get("/props", cancel)["default_generation_settings"]["n_ctx"])
        except (StatusError, CutOffError, KeyError, TypeError, ValueError):
            return 0

    def _body(self, messages: list[Message], max_tokens: int, options: dict[str, Any]) -> dict[str, Any]:
        return {
            "model": self._info.name,
            "messages": messages,
            "max_tokens": max_tokens,
            **options,
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    def _response_format(self, mode: str, schema: Mapping[str, Any]) -> dict[str, Any]:
        if mode == "json_schema":
            named = {"name": "reply", "strict": True, "schema": schema}
            return {"response_format": {"type": "json_schema", "json_schema": named}}
        return {"response_format": {"type": "json_object", "schema": schema}} if mode == "json_object" else {}

    def _events(self, body: Mapping[str, Any], cancel: threading.Event | None) -> Iterator[dict[str, Any]]:
        """Yield the parts of a streamed answer, in OpenAI's form."""
        return self._http.events("/chat/completions", body, cancel)

    def _constrained(
        self,
        body: dict[str, Any],
        schema: Mapping[str, Any],
        prefix: str,
        stop: Sequence[str],
        on_text: Callable[[str], None] | None,
        cancel: threading.Event | None,
    ) -> Reply:
        """Ask in the way of constraining replies that this server understands; find it out the first time."""
        while True:
            asked = {**body, **self._response_format(MODES[self._mode], schema)}
            last = self._mode == len(MODES) - 1
            try:
                reply = self._ask(asked, prefix, stop, on_text if self._mode_works or last else None, cancel)
            except StatusError as error:
                if error.status not in REFUSALS or last:
                    raise self._explained(error) from error
                self._mode += 1
                continue
            if self._mode_works or last:
                return reply
            if reply.finish == "length" or _follows(reply.text, schema):
                self._mode_works = reply.finish != "length"
                if on_text is not None:
                    on_text(reply.text)
                return reply
            self._mode += 1

    def _ask(
        self,
        body: dict[str, Any],
        prefix: str,
        stop: Sequence[str],
        on_text: Callable[[str], None] | None,
        cancel: threading.Event | None,
    ) -> Reply:
        answer = _Answer(Continued(prefix, stop), on_text)
        try:
            for event in self._events(body, cancel):
                answer.take(event)
        except StatusError as error:
            if body.keys() & FORMAT_KEYS and error.status in REFUSALS:
                raise
            raise self._explained(error) from error
        except (CutOffError, AttributeError, TypeError) as error:
            raise ModelError(f"The server's answer broke off ({error}); run again, or see its log.") from error
        if not answer.finish:
            if not answer.pieces:
                self._reason(body, cancel)
            raise ModelError("The server's answer broke off before its end; run again, or see its log.")
        self._check_whole(body["messages"], answer.usage)
        return answer.reply()

    def _reason(self, body: Mapping[str, Any], cancel: threading.Event | None) -> None:
        """Raise why a stream was empty: some servers say it only to those who do not stream."""
        try:
            self._http.post("/chat/completions", {**plain(body), "max_tokens": 1}, cancel)
        except StatusError as error:
            raise self._explained(error) from error
        except CutOffError:
            return

    def _check_whole(self, messages: Sequence[Message], usage: Mapping[str, Any]) -> None:
        """Raise if the server reports fewer prompt tokens than it must have been sent."""
        told = usage.get("prompt_tokens")
        if not told:
            return
        text = "\n".join(m["content"] for m in messages)
        exact = self._count(text)
        # Hardly any token spans two words, so there are at least nearly as many tokens as words.
        sent = exact - 2 * len(messages) if exact is not None else len(LETTERS.findall(text)) * 9 // 10
        if int(told) < sent:
            raise ModelError(
                f"The server cut the prompt: it read {int(told):,} of at least {sent:,} tokens; {self._remedy}."
            )

    @property
    def _remedy(self) -> str:
        """What the user can do about too small a window."""
        return "raise its window (Ollama: num_ctx, llama-server: --ctx-size, vLLM: --max-model-len)"

    def _count(self, text: str) -> int | None:
        if not self._looked_for_counter:
            self._looked_for_counter = True
            self._counter = next((c for c in COUNTERS if self._counted(c, "one two") is not None), None)
        return self._counted(self._counter, text) if self._counter is not None else None

    def _counted(self, counter: tuple[str, str, str], text: str) -> int | None:
        path, asked, answered = counter
        try:
            found = self._root.post(path, {"model": self._info.name, asked: text})[answered]
            return len(found) if isinstance(found, list) else int(found)
        except (StatusError, CutOffError, KeyError, TypeError, ValueError):
            return None

    def _choose(self, name: str, cancel: threading.Event | None) -> dict[str, Any]:
        try:
            listed = self._http.get("/models", cancel)["data"]
            models = [{**m.get("meta", {}), **m} for m in listed]
        except StatusError as error:
            raise self._explained(error) from error
        except (CutOffError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(
                f"{self._http.base} does not speak the OpenAI protocol; its address mostly ends in /v1."
            ) from error
        chosen = [m for m in models if name in ("", m["id"])]
        if len(chosen) == 1:
            return chosen[0]
        names = ", ".join(str(m["id"]) for m in models[:12]) or "none"
        problem = f"has no model {name!r}" if name else "has several models"
        raise ModelError(f"{self._http.base} {problem}; put one of its names after '#': {names}.")

    def _explained(self, error: StatusError) -> ModelError:
        place = self._http.base
        if error.status in (401, 403):
            return ModelError(f"{place} wants a key; set {self._key} in the environment of the notebook server.")
        if error.status in (404, 405):
            return ModelError(f"{place} knows no such model or path ({error.text}); check the address.")
        if 300 <= error.status < 400:
            other = error.text or "another address"
            return ModelError(
                f"{place} redirects to {other}, and Loom follows no redirect, which would take your key along. "
                "If you trust that address, give it instead."
            )
        return ModelError(f"{place} refused the request ({error.status}: {error.text}).")


class _Answer:
    """What has come of one streamed answer."""

    def __init__(self, said: Continued, on_text: Callable[[str], None] | None) -> None:
        self._said = said
        self._on_text = on_text
        self._began = self._first = time.perf_counter()
        self._characters = Characters()
        self.pieces: list[str] = []
        self.finish = ""
        self.usage: dict[str, Any] = {}
        self.timings: dict[str, Any] = {}  # llama-server's and Ollama's own

    def take(self, event: dict[str, Any]) -> None:
        """Take one event in."""
        if "error" in event:
            raise StatusError(200, str(event["error"]))
        self.usage = event.get("usage") or self.usage
        self.timings = event.get("timings") or self.timings
        for choice in event.get("choices", [])[:1]:
            self.finish = choice.get("finish_reason") or self.finish
            piece = self._characters.feed(choice.get("delta", {}).get("content") or "")
            self._add(self._said.feed(piece))

    def reply(self) -> Reply:
        """Return the whole of it."""
        details = self.usage.get("prompt_tokens_details") or {}
        cached = details.get("cached_tokens") or self.timings.get("cache_n") or 0
        prefill, decode = self.timings.get("prompt_ms"), self.timings.get("predicted_ms")
        usage = Usage(
            int(self.usage.get("prompt_tokens") or 0),
            int(cached),
            int(self.usage.get("completion_tokens") or len(self.pieces)),
            self._first - self._began if prefill is None else prefill / 1e3,
            time.perf_counter() - self._first if decode is None else decode / 1e3,
        )
        self._add(self._said.feed(self._characters.close()))
        self._add(self._said.close())
        finish: Finish = "length" if self.finish == "length" and not self._said.stopped else "stop"
        return Reply(self._said.text, finish, usage)

    def _add(self, piece: str) -> None:
        if not piece:
            return
        if not self.pieces:
            self._first = time.perf_counter()
        self.pieces.append(piece)
        if self._on_text is not None:
            self._on_text(piece)


def plain(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request that asks for its answer in one piece."""
    return {key: value for key, value in body.items() if key not in ("stream", "stream_options")}


def _follows(text: str, schema: Mapping[str, Any]) -> bool:
    """Whether a reply looks held to its schema: JSON, an object where one is asked for, with all it requires."""
    try:
        data = json.loads(text)
    except ValueError:
        return False
    if schema.get("type") == "object":
        return isinstance(data, dict) and set(schema.get("required", ())) <= data.keys()
    return True


def server_root(base: str) -> str:
    """Return the server's root: what lies next to the OpenAI paths."""
    return base.rstrip("/").removesuffix("/v1")
