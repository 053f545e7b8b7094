"""A Jupyter server with Loom's extension, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import free_port

from loom_jupyter.events import Event, Started
from loom_jupyter.runs.log import EventLog
from loom_jupyter.runs.request import Request, new_run_id


class Server:
    """The server, its root folder, and the runs of one workspace in it."""

    def __init__(self, base: Path) -> None:
        self.root, self.data, self.port = base / "root", base / "data", free_port()
        self.workspace = self.root / "parcels"
        self.workspace.mkdir(parents=True)
        self.log = base / "log"
        environment = {
            **os.environ,
            "JUPYTER_DATA_DIR": str(self.data),
            "JUPYTER_CONFIG_DIR": str(base / "config"),
            "HOME": str(base),
        }
        command = [
            *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", "--ip", "127.0.0.1"),
            *("--port", str(self.port), "--ServerApp.port_retries=0", "--IdentityProvider.token=t"),
            """--ServerApp.jpserver_extensions={"loom_jupyter.server": True}""",
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=self.root, env=environment, stdout=log, stderr=log)
        for _ in range(1200):  # a busy machine starts a server in half a minute
            try:
                self.call("GET", "/api")
            except urllib.error.URLError:
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.1)
            else:
                return
        raise AssertionError(self.log.read_text())

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)

    def request(
        self, method: str, path: str, body: Any = None, token: str | None = "t", **headers: str
    ) -> urllib.request.Request:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        said = {"Authorization": f"token {token}"} if token else {}
        url = f"http://127.0.0.1:{self.port}{path}"
        return urllib.request.Request(url, data=data, method=method, headers={**said, **headers})

    def call(self, method: str, path: str, body: Any = None, **given: Any) -> tuple[int, Any]:
        """Return status and JSON of an answer."""
        try:
            with urllib.request.urlopen(self.request(method, path, body, **given), timeout=20) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            text = error.read()
            return error.code, json.loads(text) if text.startswith(b"{") else None

    def stream(
        self, run_id: str, query: str = "", route: str = "events", **headers: str
    ) -> Iterator[dict[str, Any]]:
        """Yield events, or what another route streams, as they come."""
        path = f"/loom/api/runs/{run_id}/{route}{query}"
        with urllib.request.urlopen(self.request("GET", path, **headers), timeout=20) as answer:
            for line in answer:
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])

    def folder(self, run_id: str, workspace: str = "w-1") -> Path:
        return self.data / "loom" / workspace / "runs" / run_id

    def store(
        self, *events: Event, task: str = "2 kg", root: Path | None = None, run_id: str = ""
    ) -> tuple[str, EventLog]:
        """Put a run on disk that no process owns."""
        run_id = run_id or new_run_id()
        folder = self.folder(run_id)
        folder.mkdir(parents=True)
        request = Request(id=run_id, task=task, root=str(root or self.workspace), created=time.time())
        (folder / "run.json").write_text(request.model_dump_json())
        log = EventLog(folder, run_id)
        log.emit(Started(task=task, root=request.root, model="tiny", budget=120))
        for event in events:
            log.emit(event)
        return run_id, log


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    pytest.importorskip("jupyter_server", reason="Jupyter Server is not installed")
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.close()
