"""Ollama, through its own API: there the window can be set, which its OpenAI paths ignore.

Without ``num_ctx`` Ollama takes 4,096 tokens (more on large GPUs) whatever the model was trained with, and cuts a
longer prompt without a word. So the window is asked for with every request and read back once the model is loaded.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from loom_jupyter.models.protocol import Message, ModelError, ModelInfo
from loom_jupyter.models.servers import keys
from loom_jupyter.models.servers.openai import Server, server_root
from loom_jupyter.models.servers.scoring import ScoringServer
from loom_jupyter.models.servers.transport import CutOffError, StatusError, Transport

WINDOW = 16_384  # tokens asked for where nobody says how many: Ollama itself does not tell what fits
NANO = 1e6  # Ollama's nanoseconds in a millisecond


def connect(
    address: str, *, n_ctx: int | None = None, key: str | None = None, cancel: threading.Event | None = None
) -> Server:
    """Return the model that a server runs, spoken with in the way that this server understands best.

    Parameters
    ----------
    address, n_ctx, key, cancel
        See `loom_jupyter.models.servers.openai.Server`. Of Ollama, `n_ctx` is asked for.
    """
    base = address.partition("#")[0]
    if _is_ollama(Transport(server_root(base), keys.key_for(base, key)), cancel):
        return Ollama(address, n_ctx=n_ctx, key=key, cancel=cancel)
    scoring = ScoringServer(address, n_ctx=n_ctx, key=key, cancel=cancel)
    return scoring if scoring.works(cancel) else Server(address, n_ctx=n_ctx, key=key, cancel=cancel)


class Ollama(Server):
    """A model that Ollama runs; see `Server`."""

    def _open(self, name: str, n_ctx: int | None, cancel: threading.Event | None) -> ModelInfo:
        name = name or self._only(cancel)
        try:
            shown = self._root.post("/api/show", {"model": name}, cancel)
            window = n_ctx or _window(shown)
            # A request without messages loads the model.
            self._root.post(
                "/api/chat",
                {"model": name, "messages": [], "stream": False, "options": {"num_ctx": window}},
                cancel,
            )
            running = self._root.get("/api/ps", cancel)
        except StatusError as error:
            if error.status == 404:
                raise self._unknown(name, cancel) from error
            raise self._explained(error) from error
        except CutOffError as error:
            raise ModelError(
                f"{self._root.base} broke off while it loaded {name} ({error}); see its log."
            ) from error
        full = name if ":" in name else f"{name}:latest"
        state: dict[str, Any] = next((m for m in running.get("models", []) if m.get("name") in (name, full)), {})
        window = min(window, int(state.get("context_length") or window))
        memory = int(state.get("size_vram") or state.get("size") or 0)
        return ModelInfo(name, window, urlsplit(self._root.base).netloc, memory, 0)

    def _body(self, messages: list[Message], max_tokens: int, options: dict[str, Any]) -> dict[str, Any]:
        asked = {"num_ctx": self._info.n_ctx, "num_predict": max_tokens, **options}
        # Newer versions then refuse a prompt that is too long instead of cutting it.
        rest = {"stream": True, "truncate": False, "shift": False}
        return {"model": self._info.name, "messages": messages, "options": asked, **rest}

    def _response_format(self, mode: str, schema: Mapping[str, Any]) -> dict[str, Any]:
        if mode == "json_schema":
            return {"format": schema}
        return {"format": "json"} if mode == "json_object" else {}

    def _events(self, body: Mapping[str, Any], cancel: threading.Event | None) -> Iterator[dict[str, Any]]:
        for line in self._root.lines("/api/chat", body, cancel):
            yield _as_openai(line)

    def _reason(self, body: Mapping[str, Any], cancel: threading.Event | None) -> None:
        """Do nothing: Ollama says in the stream what is wrong."""

    @property
    def _remedy(self) -> str:
        return f"its window is {self._info.n_ctx:,}: set window in [tool.loom.models], or tag fewer files"

    def _only(self, cancel: threading.Event | None) -> str:
        names = self._names(cancel)
        if len(names) != 1:
            raise ModelError(
                f"{self._root.base} has several models; put one of its names after '#': {_listed(names)}."
            )
        return names[0]

    def _unknown(self, name: str, cancel: threading.Event | None) -> ModelError:
        return ModelError(
            f"{self._root.base} has no model {name!r}; put one of its names after '#': "
            f"{_listed(self._names(cancel))}, or run: ollama pull {name}"
        )

    def _names(self, cancel: threading.Event | None) -> list[str]:
        try:
            return [str(m["name"]) for m in self._root.get("/api/tags", cancel)["models"]]
        except StatusError as error:
            raise self._explained(error) from error
        except (CutOffError, KeyError, TypeError) as error:
            raise ModelError(f"{self._root.base} does not list its models; see its log.") from error


def _is_ollama(root: Transport, cancel: threading.Event | None) -> bool:
    try:
        found = root.get("/api/version", cancel)
    except (StatusError, CutOffError):
        return False
    return isinstance(found, dict) and "version" in found


def _window(shown: Mapping[str, Any]) -> int:
    """Return the window that the model's own file asks for, or a sensible part of the trained one."""
    for line in str(shown.get("parameters") or "").splitlines():
        name, _, value = line.strip().partition(" ")
        if name == "num_ctx" and value.strip().isdecimal():
            return int(value)
    facts = shown.get("model_info") or {}
    trained = facts.get(f"{facts.get('general.architecture')}.context_length")
    return min(WINDOW, int(trained)) if trained else WINDOW


def _as_openai(line: Mapping[str, Any]) -> dict[str, Any]:
    if "error" in line:
        return {"error": line["error"]}
    text = (line.get("message") or {}).get("content") or ""
    event: dict[str, Any] = {"choices": [{"delta": {"content": text}, "finish_reason": None}]}
    if line.get("done"):
        event["choices"][0]["finish_reason"] = line.get("done_reason") or "stop"
        event["usage"] = {
            "prompt_tokens": line.get("prompt_eval_count") or 0,
            "completion_tokens": line.get("eval_count") or 0,
        }
        event["timings"] = {
            "prompt_ms": (line.get("prompt_eval_duration") or 0) / NANO,
            "predicted_ms": (line.get("eval_duration") or 0) / NANO,
        }
    return event


def _listed(names: list[str]) -> str:
    return ", ".join(names[:12]) or "none"
