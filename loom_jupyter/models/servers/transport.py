"""HTTP to a model server: streams, retries what is transient, and lets go at once when stopped."""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from loom_jupyter.errors import Cancelled
from loom_jupyter.models.protocol import ModelError

POLL = 0.02  # seconds between looks at the caller's cancel flag
CONNECT, READ = 5.0, 300.0  # seconds; a long prompt may be read for minutes before the first token
TRANSIENT = frozenset({429, 502, 503, 504})
DELAYS = (0.5, 1.0, 2.0)  # seconds before each further try
LONGEST_DELAY = 10.0


class StatusError(Exception):
    """The server refused a request.

    Attributes
    ----------
    status
        HTTP status.
    text
        What it said, in short.
    """

    def __init__(self, status: int, text: str, retry_after: float | None = None) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status
        self.text = text
        self.retry_after = retry_after


class CutOffError(Exception):
    """The connection ended in the middle of an answer."""


class Transport:
    """Speaks JSON with one server.

    Parameters
    ----------
    base
        Address that paths are added to, such as ``http://localhost:8080/v1``.
    key
        Sent as a bearer token; never logged and never part of an error.

    Attributes
    ----------
    borrower
        Stops the calls that are given no `cancel` of their own.
    """

    def __init__(self, base: str, key: str | None = None) -> None:
        self.base = base.rstrip("/")
        self.borrower: threading.Event | None = None
        self._headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"

    def get(self, path: str, cancel: threading.Event | None = None) -> Any:
        """Return the JSON at `path`."""
        return _parse(b"".join(self._lines("GET", path, None, cancel)))

    def post(self, path: str, body: Any, cancel: threading.Event | None = None) -> Any:
        """Return the JSON that answers `body`."""
        return _parse(b"".join(self._lines("POST", path, body, cancel)))

    def events(self, path: str, body: Any, cancel: threading.Event | None = None) -> Iterator[Any]:
        """Yield the JSON of each server-sent event up to ``[DONE]``."""
        for line in self._lines("POST", path, body, cancel):
            data = line.strip()
            if data.startswith(b"data:"):
                data = data.removeprefix(b"data:").strip()
                if data == b"[DONE]":
                    return
                yield _parse(data)

    def lines(self, path: str, body: Any, cancel: threading.Event | None = None) -> Iterator[Any]:
        """Yield the JSON of each line that answers `body`."""
        for line in self._lines("POST", path, body, cancel):
            if line.strip():
                yield _parse(line)

    def _lines(self, method: str, path: str, body: Any, cancel: threading.Event | None) -> Iterator[bytes]:
        # Half a character of a text (a lone surrogate) becomes a question mark.
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        cancel = cancel or self.borrower
        call = _Call(method, self.base + path, data, self._headers)
        call.start()
        try:
            while True:
                if cancel is not None and cancel.is_set():
                    raise Cancelled
                try:
                    found = call.found.get(timeout=POLL)
                except queue.Empty:
                    continue
                if found is None:
                    return
                if isinstance(found, Exception):
                    raise found
                yield found
        finally:
            call.abort()


class _Call(threading.Thread):
    """One request, made in a thread of its own so that whoever waits for it can leave at any moment."""

    def __init__(self, method: str, url: str, body: bytes | None, headers: dict[str, str]) -> None:
        super().__init__(name="loom-http", daemon=True)
        self.found: queue.SimpleQueue[bytes | Exception | None] = queue.SimpleQueue()
        self._method, self._url, self._body, self._headers = method, urlsplit(url), body, headers
        self._aborted = threading.Event()
        self._connection: http.client.HTTPConnection | None = None
        self._begun = False

    def abort(self) -> None:
        """Let go of the connection, whatever it is doing."""
        self._aborted.set()
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        """Try, and try again while the trouble is transient."""
        for delay in (*DELAYS, None):
            try:
                self._attempt()
                self.found.put(None)
                return
            except (StatusError, http.client.HTTPException, OSError, ModelError) as error:
                wait = self._wait(error, delay)
                if wait is None:
                    self.found.put(self._explained(error))
                    return
                self._aborted.wait(wait)
            finally:
                if self._connection is not None:
                    self._connection.close()

    def _attempt(self) -> None:
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        self._connection = connection = kind(self._url.hostname or "", self._url.port, timeout=CONNECT)
        try:
            connection.connect()
        except OSError as error:
            place = f"{self._url.scheme}://{self._url.netloc}"
            raise ModelError(
                f"No server answers at {place} ({error.strerror or error}); start it, or check the address."
            ) from error
        connection.sock.settimeout(READ)
        connection.request(self._method, self._url.path, self._body, self._headers)
        response = connection.getresponse()
        if response.status >= 300:  # a redirect too: it would take the key and the code along
            said = response.headers.get("Location", "") if response.status < 400 else ""
            said = " ".join(said.split())[:200] or _said(response.read(4000))
            raise StatusError(response.status, said, _seconds(response))
        for line in response:
            self._begun = True
            self.found.put(line)

    def _wait(self, error: Exception, delay: float | None) -> float | None:
        """Seconds to wait before another try, or None if there is none."""
        if delay is None or self._begun or self._aborted.is_set() or isinstance(error, ModelError):
            return None
        if isinstance(error, StatusError):
            if error.status not in TRANSIENT:
                return None
            return min(LONGEST_DELAY, max(delay, error.retry_after or 0))
        return None if isinstance(error, TimeoutError) else delay

    def _explained(self, error: Exception) -> Exception:
        if isinstance(error, StatusError | ModelError):
            return error
        if isinstance(error, TimeoutError):
            return ModelError(f"The server said nothing for {READ:.0f} s; see what it is doing.")
        return CutOffError(str(error) or type(error).__name__)


def _parse(data: bytes) -> Any:
    # A server may cut its text inside a character: what is not UTF-8 is kept for whoever joins the pieces.
    try:
        return json.loads(data.decode("utf-8", "surrogateescape").removeprefix("\ufeff"))
    except ValueError as error:
        raise CutOffError(f"not JSON: {data[:80]!r}") from error


def _said(body: bytes) -> str:
    """Return the error message of an answer, in one short line."""
    text = body.decode("utf-8", "replace")
    with contextlib.suppress(ValueError):
        data = json.loads(text)
        while isinstance(data, dict):
            data = data.get("error", data.get("message", data.get("detail", "")))
        text = str(data)
    return " ".join(text.split())[:200]


def _seconds(response: http.client.HTTPResponse) -> float | None:
    try:
        return float(response.headers.get("Retry-After", ""))
    except ValueError:
        return None
