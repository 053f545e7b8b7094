"""Loom's routes, under ``/loom/api`` of a Jupyter server."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, authenticated, stream_request_body

from loom_jupyter.errors import LoomError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from loom_jupyter.runs.asking import Asking
    from loom_jupyter.runs.evidence import Asked
    from loom_jupyter.runs.store import Stored
    from loom_jupyter.server.follow import Feeds
    from loom_jupyter.server.workspaces import Workspaces
    from loom_jupyter.trust import Trust

_logger = logging.getLogger(__name__)
BODY = 64 * 1024
STREAMS = 200
ACTIONS = "stop, accept, reject, undo, answer or approve"
QUERY = 500
ASKED, LOOK = 3, 0.05
"""Requests to one run that wait at a time; seconds between two looks for an answer."""
RUN = r"([0-9A-Za-z][0-9A-Za-z_-]{0,63})"


class Routes:
    """What the handlers of one server share; threads for what waits on files."""

    def __init__(self) -> None:
        self.threads = ThreadPoolExecutor(4, thread_name_prefix="loom-server")
        self.streams = 0
        self.asked: Counter[str] = Counter()
        self._feeds: Feeds | None = None

    @property
    def feeds(self) -> Feeds:
        """What the listeners share."""
        from loom_jupyter.server.follow import Feeds

        self._feeds = self._feeds or Feeds(self.threads)
        return self._feeds


class LoomHandler(APIHandler):
    """What Loom's handlers have in common."""

    auth_resource = "loom"
    _track_activity = False  # looking at runs does not keep an idle server awake

    def initialize(self, shared: Routes) -> None:
        """Take what the routes share."""
        self.shared = shared

    async def do(self, act: Callable[..., Any], *args: Any) -> Any:
        """Run what reads or waits in a thread, and return what it returns."""
        return await asyncio.get_running_loop().run_in_executor(self.shared.threads, act, *args)

    def workspaces(self) -> Workspaces:
        """Return the workspaces under the server's root folder; call it in a thread."""
        from loom_jupyter.server.workspaces import Workspaces

        return Workspaces(Path(self.settings["server_root_dir"]).expanduser().resolve())

    async def run(self, run_id: str) -> Stored:
        """Return a run of this server, or answer 404."""
        _logger.debug("%s of run %s", type(self).__name__, run_id)
        run: Stored | None = await self.do(lambda: self.workspaces().find(run_id))
        if run is None:
            raise HTTPError(404, f"There is no run {run_id} under this server's folder.")
        return run

    def number(self, name: str, default: int, most: int) -> int:
        """Return a query argument that is a whole number from 0 to `most`."""
        value = _whole_number(self.get_query_argument(name, str(default)))
        if value is None or value > most:
            raise HTTPError(400, f"{name} is a whole number from 0 to {most}.")
        return value


class RunsHandler(LoomHandler):
    """The newest runs, summed up."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """Answer ``{runs: […]}``; `q` searches tasks, `before` goes on after the last run of a page."""
        words, before = self.get_query_argument("q", "")[:QUERY], self.get_query_argument("before", "")[:64]
        limit = self.number("limit", 50, 100)
        self.finish({"runs": await self.do(lambda: self.workspaces().runs(words, before, limit))})


class RunHandler(LoomHandler):
    """One run."""

    @authenticated
    @authorized
    async def delete(self, run_id: str) -> None:
        """Delete a run that nothing works on."""
        run = await self.run(run_id)
        from loom_jupyter.runs.store import delete  # now imported in a thread

        try:
            await self.do(delete, run)
        except LoomError as error:
            raise HTTPError(409, str(error)) from error
        self.set_status(204)
        self.finish()


class TrustHandler(LoomHandler):
    """What the settings of a workspace would run or send, and whether the user lets them."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """Answer ``{needed: [{key, value, does}], granted, changed, digest}`` of `workspace`."""
        self.finish(_told(await self.trust()))

    @authenticated
    @authorized
    async def post(self) -> None:
        """Let what has this `digest` count from now on; 409 if it is no longer what was shown."""
        trust = await self.trust()
        if self.get_query_argument("digest") != trust.digest:
            raise HTTPError(409, "The settings changed since they were shown; look at them again.")
        try:
            await self.do(trust.grant)
        except LoomError as error:
            raise HTTPError(409, str(error)) from error
        self.finish(_told(trust))

    @authenticated
    @authorized
    async def delete(self) -> None:
        """Let them count no longer."""
        trust = await self.trust()
        await self.do(trust.revoke)
        self.finish(_told(trust))

    async def trust(self) -> Trust:
        """Return the settings of a workspace below the server's root, or answer 404."""
        place = self.get_query_argument("workspace", ".")
        found: Trust | None = await self.do(lambda: self.workspaces().trust(place))
        if found is None:
            raise HTTPError(404, f"There is no workspace {place[:QUERY]} under this server's folder.")
        return found


def _told(trust: Trust) -> dict[str, Any]:
    from loom_jupyter.runs.format import line as shown

    return {
        "needed": [{name: shown(text) for name, text in line._asdict().items()} for line in trust.lines],
        "granted": trust.granted,
        "changed": list(trust.changed),
        "digest": trust.digest,
    }


class StreamHandler(LoomHandler):
    """What the handlers of streams have in common: server-sent events, until the client leaves."""

    async def stream(self, messages: AsyncGenerator[bytes]) -> None:
        """Send `messages`."""
        if self.shared.streams >= STREAMS:
            raise HTTPError(503, f"{STREAMS} streams of events are open already; close a page.")
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Accel-Buffering", "no")
        self.shared.streams += 1
        try:
            await self.flush()
            async with aclosing(messages):
                async for message in messages:
                    self.write(message)
                    await self.flush()  # waits for a slow client; what comes meanwhile waits in the file
        except StreamClosedError:
            return
        finally:
            self.shared.streams -= 1
        self.finish(set_content_type="text/event-stream")


class EventsHandler(StreamHandler):
    """A run's events, as they are written."""

    @authenticated
    @authorized
    async def get(self, run_id: str) -> None:
        """Send events from number `from` (or after ``Last-Event-ID``) on."""
        start = self.number("from", 0, 10**12)
        last = _whole_number(self.request.headers.get("Last-Event-ID", ""))
        if last is not None:
            start = max(start, last + 1)
        run = await self.run(run_id)
        from loom_jupyter.runs.log import PROGRESS  # now imported in a thread
        from loom_jupyter.server.follow import events

        await self.stream(events(run.folder / PROGRESS, start, self.shared.feeds.tail))


class FollowHandler(StreamHandler):
    """A run as it is shown, while it changes."""

    @authenticated
    @authorized
    async def get(self, run_id: str) -> None:
        """Send the run's document (`runs.document.Document`), and then what changes in it, section by section."""
        run = await self.run(run_id)
        from loom_jupyter.runs import store

        await self.stream(self.shared.feeds.follow(run.folder, lambda: store.summary(run).alive))


class DocumentHandler(LoomHandler):
    """A run as it is shown now."""

    @authenticated
    @authorized
    async def get(self, run_id: str) -> None:
        """Answer the run's document (`runs.document.Document`)."""
        run = await self.run(run_id)
        from loom_jupyter.runs import store
        from loom_jupyter.runs.document import to_json
        from loom_jupyter.server.follow import Feed

        feed = Feed(run.folder, lambda: store.summary(run).alive)
        self.set_header("Content-Type", "application/json")
        self.finish(await self.do(lambda: to_json(feed.document())))


class LedgerHandler(LoomHandler):
    """A run's evidence, file by file."""

    @authenticated
    @authorized
    async def get(self, run_id: str) -> None:
        """Answer files of the whole ledger.

        `q` and `path` search, `families` (with commas between) filters; `order` is score, path or evidence;
        `offset` and `limit` turn pages.
        """
        run = await self.run(run_id)
        from loom_jupyter.runs import evidence  # its room is imported now

        order = self.get_query_argument("order", "score")
        if order not in evidence.ORDERS:
            raise HTTPError(400, f"order is one of {', '.join(evidence.ORDERS)}.")
        asked = evidence.Asked(
            words=self.get_query_argument("q", "")[:QUERY],
            path=self.get_query_argument("path", "")[:QUERY],
            order=order,
            families=frozenset(filter(None, self.get_query_argument("families", "")[:QUERY].split(","))),
            offset=self.number("offset", 0, 10**7),
            limit=self.number("limit", 50, evidence.PAGE),
        )
        version = await self.do(evidence.version, run.folder)
        if version is None:
            raise HTTPError(404, f"Run {run_id} has no ledger yet; it comes with the Explorer.")
        self.set_header("Etag", f'W/"{version}"')
        if self.check_etag_header():
            self.set_status(304)
            self.finish()
            return
        try:
            self.finish(await self.do(_shown_page, run.folder, asked))
        except LoomError as error:
            raise HTTPError(413, str(error)) from error

    def compute_etag(self) -> str | None:
        """Leave the tag to `get`, which knows the ledger's version."""
        return None


class WhyNotHandler(LoomHandler):
    """What keeps a file of a run's ledger from ranking higher."""

    @authenticated
    @authorized
    async def get(self, run_id: str) -> None:
        """Answer ``{lines: […]}`` of the file that is called `path`, or else the best whose path holds it."""
        run = await self.run(run_id)
        path = self.get_query_argument("path")[:QUERY]
        try:
            self.finish({"lines": await self.do(_why_not, run.folder, path)})
        except FileNotFoundError as error:
            raise HTTPError(404, f"Run {run_id} has no ledger yet; it comes with the Explorer.") from error
        except LoomError as error:
            raise HTTPError(413, str(error)) from error


@stream_request_body
class ControlHandler(LoomHandler):
    """What can be asked of a run: stop, accept, reject, undo, answer, approve."""

    _track_activity = True

    async def prepare(self) -> None:  # type: ignore[override]
        """Refuse a long body before it is read."""
        self._body = bytearray()
        await super().prepare()
        self.request.connection.set_max_body_size(BODY)  # type: ignore[union-attr]
        length = _whole_number(self.request.headers.get("Content-Length", "0"))
        if length is None or length > BODY:
            raise HTTPError(413, f"A request is at most {BODY} bytes long.")

    def data_received(self, chunk: bytes) -> None:
        """Take a piece of the body."""
        self._body += chunk

    @authenticated
    @authorized
    async def post(self, run_id: str) -> None:
        """Do what ``{action, …}`` asks (`runs.events.Control`); answer when it is done, or 409 with the reason."""
        run = await self.run(run_id)
        try:
            asked = json.loads(bytes(self._body))
            await self._ask(run, asked)
        except LoomError as error:
            raise HTTPError(409, await self.do(_visible, str(error))) from error
        except (ValueError, TypeError, RecursionError) as error:
            raise HTTPError(400, f"A request names an action: {ACTIONS}.") from error
        self.finish({"ok": True})

    async def _ask(self, run: Stored, body: Any) -> None:
        """Ask, and look for the answer now and then: a kernel that hangs must not hold a thread of the server."""
        asked = self.shared.asked
        if asked[run.id] >= ASKED and body != {"action": "stop"}:
            raise HTTPError(503, f"Run {run.id} has {ASKED} unanswered requests; its process may be stopped.")
        asked[run.id] += 1
        try:
            asking = await self.do(_begin, run, body)
            while not await self.do(asking.answered):
                await asyncio.sleep(LOOK)
        finally:
            asked[run.id] -= 1
            if not asked[run.id]:
                del asked[run.id]


class IndexHandler(LoomHandler):
    """How the workspaces' indexes stand."""

    @authenticated
    @authorized
    async def get(self) -> None:
        """Answer ``{workspaces: […]}``."""
        self.finish({"workspaces": await self.do(lambda: self.workspaces().index())})


def _shown_page(folder: Path, asked: Asked) -> dict[str, Any]:
    """Return a page of a ledger with its files as they are shown."""
    from loom_jupyter.events import RankedFile
    from loom_jupyter.runs import evidence
    from loom_jupyter.runs.compose import evidence_file
    from loom_jupyter.runs.document import as_data
    from loom_jupyter.runs.families import in_order

    page = evidence.page(folder, asked)
    files = [as_data(evidence_file(RankedFile.model_validate(file), file["more"])) for file in page["files"]]
    return {**page, "families": in_order(page["families"]), "files": files}


def _why_not(folder: Path, path: str) -> list[str]:
    from loom_jupyter.runs import evidence
    from loom_jupyter.runs.format import lines

    ledger = evidence.whole(folder)
    asked = path.strip().lower()
    paths = [known for known, _ in ledger.scores]
    fits = (str.__eq__, str.endswith, str.__contains__)
    found = next((known for fit in fits for known in paths if fit(known.lower(), asked)), path)
    return lines(ledger.why_not(found))


def _begin(run: Stored, body: Any) -> Asking:
    from loom_jupyter.server.workspaces import ask

    if not isinstance(body, dict):
        raise TypeError("a request is an object")
    return ask(run, body)


def _visible(text: str) -> str:
    """Show what an error quotes of files."""
    from loom_jupyter.invisible import visible

    return visible(text)


def _whole_number(word: str) -> int | None:
    """Return a number that a client wrote, or None; of one with a thousand digits only that it is large."""
    if not (word.isascii() and word.isdecimal()):
        return None
    return int(word.lstrip("0")[:20] or "0")


def handlers(base_url: str) -> list[tuple[str, type[LoomHandler], dict[str, Routes]]]:
    """Return Loom's routes under `base_url`."""
    shared = Routes()
    routes = {
        "runs": RunsHandler,
        rf"runs/{RUN}": RunHandler,
        rf"runs/{RUN}/document": DocumentHandler,
        rf"runs/{RUN}/follow": FollowHandler,
        rf"runs/{RUN}/events": EventsHandler,
        rf"runs/{RUN}/ledger": LedgerHandler,
        rf"runs/{RUN}/why-not": WhyNotHandler,
        rf"runs/{RUN}/control": ControlHandler,
        "index": IndexHandler,
        "trust": TrustHandler,
    }
    return [
        (url_path_join(base_url, "loom/api", path), handler, {"shared": shared})
        for path, handler in routes.items()
    ]
