"""Loom's routes, asked of a real Jupyter server."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import scripted_runs
from scripted_runs import AFTER, BEFORE, project, wait_for

from loom_jupyter import Loom
from loom_jupyter.context.ledger import Evidence, Ledger
from loom_jupyter.events import Indexed, NodeText, RunState, StateChanged
from loom_jupyter.pipeline.contracts import Node
from loom_jupyter.runs import runner
from loom_jupyter.runs.control import ControlReader
from loom_jupyter.runs.request import Request
from loom_jupyter.runs.run import Run
from loom_jupyter.server.routes import BODY, handlers

VERBS = ("get", "post", "put", "patch", "delete", "head")
REVIEW = StateChanged(state=RunState.REVIEW)


def routes() -> list[tuple[str, Any]]:
    return [(path, handler) for path, handler, _ in handlers("/")]


def own_verbs(handler: Any) -> list[str]:
    own = [cls for cls in handler.__mro__ if cls.__module__.startswith("loom_jupyter")]
    return [verb for verb in VERBS if any(verb in vars(cls) for cls in own)]


def test_every_verb_of_every_route_asks_who_is_there(server: Any) -> None:
    seen = 0
    for path, handler in routes():
        verbs = own_verbs(handler)
        assert verbs, path
        for verb in verbs:
            assert "authenticated" in decorators(getattr(handler, verb)), f"{verb} {path}"
            place = path.replace(r"([0-9A-Za-z][0-9A-Za-z_-]{0,63})", "x")
            assert server.call(verb.upper(), place, token=None)[0] == 403
            assert server.call(verb.upper(), place, token="wrong")[0] == 403
            seen += 1
    assert seen == 12


def decorators(function: Any) -> str:
    """Return where the layers of a decorated function were defined."""
    names = []
    while function is not None:
        names.append(getattr(function.__code__, "co_qualname", function.__code__.co_filename))
        names.append(function.__code__.co_filename + ":" + function.__code__.co_name)
        names.extend(function.__code__.co_names)
        function = getattr(function, "__wrapped__", None)
    return " ".join(["authenticated" if "get_login_url" in names else "", *names])


def test_runs_are_listed_newest_first_and_found_by_their_words(server: Any) -> None:
    first, _ = server.store(task="Alpha tariff", run_id="20200101-000000-000-aaaa")
    second, _ = server.store(REVIEW, task="Beta tariff", run_id="20200101-000001-000-bbbb")
    status, answer = server.call("GET", "/loom/api/runs?q=tariff")
    assert status == 200
    assert [run["id"] for run in answer["runs"]] == [second, first]
    newest = answer["runs"][0]
    assert (newest["task"], newest["workspace"], newest["state"]) == ("Beta tariff", "parcels", "review")
    assert [run["id"] for run in server.call("GET", "/loom/api/runs?q=ALPHA")[1]["runs"]] == [first]
    assert [run["id"] for run in server.call("GET", f"/loom/api/runs?q=tariff&before={second}")[1]["runs"]] == [
        first
    ]
    assert len(server.call("GET", "/loom/api/runs?limit=1")[1]["runs"]) == 1


def test_only_runs_under_the_root_are_there(server: Any, tmp_path: Path) -> None:
    inside = server.root / "link"
    if not inside.exists():
        inside.symlink_to(tmp_path, target_is_directory=True)
    for root in (tmp_path, inside, server.root / ".." / "elsewhere"):
        run_id, _ = server.store(REVIEW, task="outside", root=root)
        assert server.call("GET", "/loom/api/runs?q=outside")[1]["runs"] == []
        for method, tail in (("GET", "/events"), ("POST", "/control"), ("DELETE", "")):
            body = {"action": "reject"} if method == "POST" else None
            assert server.call(method, f"/loom/api/runs/{run_id}{tail}", body)[0] == 404
        assert server.folder(run_id).exists()


@pytest.mark.parametrize("bad", ["..", "%2e%2e", "a%2fb", "a%00", "x" * 65, ".hidden", "a.b", "*", "%2A"])
def test_an_id_that_is_none_reaches_no_file(server: Any, bad: str) -> None:
    for method, tail in (("GET", "/events"), ("POST", "/control"), ("DELETE", "")):
        body = {"action": "stop"} if method == "POST" else None
        assert server.call(method, f"/loom/api/runs/{bad}{tail}", body)[0] in (400, 404, 405)


@pytest.mark.parametrize("query", ["from=-1", "from=x", "from=1e3", "from=%D9%A1", "from=" + "9" * 30])
def test_a_number_that_is_none_is_refused(server: Any, query: str) -> None:
    run_id, _ = server.store(REVIEW)
    assert server.call("GET", f"/loom/api/runs/{run_id}/events?{query}")[0] == 400


def test_events_come_as_they_are_written_and_resume_where_they_ended(server: Any) -> None:
    run_id, log = server.store(StateChanged(state=RunState.RUNNING))
    events = server.stream(run_id)
    assert [next(events)["type"] for _ in range(2)] == ["started", "state"]
    log.emit(NodeText(node=Node.CODER, text="naïve <img onerror=x>"))
    assert next(events)["text"] == "naïve <img onerror=x>"
    (server.folder(run_id) / "progress.jsonl").open("ab").write(b'garbage\n[1]\n{"v":1,"seq":4,"torn":"')
    assert next(server.stream(run_id, "?from=3"))["seq"] == 3
    again = server.stream(run_id, "", **{"Last-Event-ID": "2"})
    assert next(again)["seq"] == 3
    (server.folder(run_id) / "progress.jsonl").open("ab").write(b'"}\n')
    assert next(again)["seq"] == 4


def test_a_deleted_run_ends_its_stream(server: Any) -> None:
    run_id, log = server.store(StateChanged(state=RunState.REJECTED))
    log.close()
    events = server.stream(run_id)
    assert [next(events)["type"] for _ in range(2)] == ["started", "state"]
    assert server.call("DELETE", f"/loom/api/runs/{run_id}")[0] == 204
    assert list(events) == [{}]
    assert not server.folder(run_id).exists()
    assert server.call("DELETE", f"/loom/api/runs/{run_id}")[0] == 404


def test_a_run_that_a_process_holds_is_not_deleted(server: Any) -> None:
    run_id, log = server.store(REVIEW)
    log.close()
    handle = owner(server, run_id)
    assert handle.own()
    status, answer = server.call("DELETE", f"/loom/api/runs/{run_id}")
    assert status == 409
    assert "stop or reject it first" in answer["message"]
    handle.release()
    assert server.folder(run_id).exists()


def owner(server: Any, run_id: str) -> Run:
    folder = server.folder(run_id)
    return Run(folder, Request.model_validate_json((folder / "run.json").read_text()))


def test_stop_reaches_the_process_that_works(server: Any) -> None:
    run_id, log = server.store(StateChanged(state=RunState.RUNNING))
    log.close()
    handle = owner(server, run_id)
    assert handle.own()
    answered: list[tuple[int, Any]] = []
    path = f"/loom/api/runs/{run_id}/control"
    asking = threading.Thread(target=lambda: answered.append(server.call("POST", path, {"action": "stop"})))
    asking.start()
    wait_for(lambda: handle.handle_controls() or handle.cancel.is_set())
    asking.join(10)
    assert answered == [(200, {"ok": True})]
    handle.release()


def test_a_run_whose_process_died_can_still_be_stopped(server: Any) -> None:
    run_id, log = server.store(StateChanged(state=RunState.RUNNING))
    log.close()
    quiet = server.folder(run_id) / "progress.jsonl"
    os.utime(quiet, (time.time() - 60, time.time() - 60))
    listed = next(run for run in server.call("GET", "/loom/api/runs")[1]["runs"] if run["id"] == run_id)
    assert (listed["state"], listed["alive"]) == ("running", False)
    assert server.call("POST", f"/loom/api/runs/{run_id}/control", {"action": "stop"})[0] == 200
    listed = next(run for run in server.call("GET", "/loom/api/runs")[1]["runs"] if run["id"] == run_id)
    assert (listed["state"], listed["alive"]) == ("failed", True)


def reviewed(server: Any, monkeypatch: pytest.MonkeyPatch, name: str, task: str) -> tuple[Path, str]:
    """Let a run that nobody owns any more wait for its review; return its workspace and its control's address."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(server.data))
    monkeypatch.setattr(runner, "start", scripted_runs.start)
    workspace = project(server.root / name)
    run = Loom(workspace).run(task)
    wait_for(lambda: run.state is RunState.REVIEW)
    run.release()
    return workspace, f"/loom/api/runs/{run.id}/control"


def test_accept_and_undo_work_without_any_kernel(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, path = reviewed(server, monkeypatch, "accepted", "the small tariff")
    status, answer = server.call("POST", path, {"action": "accept", "paths": ["other.py"]})
    assert status == 409
    assert "not in the proposal" in answer["message"]
    assert server.call("POST", path, {"action": "accept"}) == (200, {"ok": True})
    assert (workspace / "tariff.py").read_text() == AFTER
    status, answer = server.call("POST", path, {"action": "undo", "paths": ["other.py"]})
    assert status == 409
    assert "nothing to undo in other.py" in answer["message"]
    assert server.call("POST", path, {"action": "undo", "paths": ["tariff.py"]}) == (200, {"ok": True})
    assert (workspace / "tariff.py").read_text() == BEFORE
    assert server.call("POST", path, {"action": "undo"})[0] == 409


def test_hunks_are_accepted_one_by_one(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, path = reviewed(server, monkeypatch, "hunks", "change it twice")
    for wrong in ({"tariff.py": [2]}, {"other.py": [0]}):
        assert server.call("POST", path, {"action": "accept", "hunks": wrong})[0] == 409
    assert server.call("POST", path, {"action": "accept", "hunks": {"tariff.py": [1]}})[0] == 200
    assert (workspace / "tariff.py").read_text() == BEFORE.replace("7.2", "7.5")
    assert server.call("POST", path, {"action": "undo"})[0] == 200
    assert (workspace / "tariff.py").read_text() == BEFORE


def test_a_change_that_fits_is_accepted_merged(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, path = reviewed(server, monkeypatch, "merged", "the small tariff")
    mine = f"{BEFORE}# mine\n"
    (workspace / "tariff.py").write_text(mine)
    status, answer = server.call("POST", path, {"action": "accept"})
    assert status == 409
    assert "accept merged" in answer["message"]
    assert server.call("POST", path, {"action": "accept", "merged": True})[0] == 200
    assert (workspace / "tariff.py").read_text() == f"{AFTER}# mine\n"
    assert server.call("POST", path, {"action": "undo"})[0] == 200
    assert (workspace / "tariff.py").read_text() == mine


NO_REQUEST = [
    b"",
    b"{",
    b"[]",
    b'"stop"',
    b'{"action": "format"}',
    b'{"action": "accept", "paths": 3}',
    b"[" * 60_000,
]


@pytest.mark.parametrize("body", NO_REQUEST)
def test_a_request_that_is_none_is_refused(server: Any, body: bytes) -> None:
    run_id, log = server.store(REVIEW)
    log.close()
    assert server.call("POST", f"/loom/api/runs/{run_id}/control", body)[0] == 400
    assert ControlReader(server.folder(run_id)).poll() == []


def test_a_long_body_is_refused_before_it_is_read(server: Any) -> None:
    run_id, _ = server.store(REVIEW)
    body = json.dumps({"action": "stop", "padding": "x" * BODY}).encode()
    with contextlib.suppress(OSError):  # it may be refused while it is being sent
        assert server.call("POST", f"/loom/api/runs/{run_id}/control", body)[0] == 413
    assert ControlReader(server.folder(run_id)).poll() == []


def test_cross_site_requests_are_refused(server: Any) -> None:
    run_id, _ = server.store(REVIEW)
    path = f"/loom/api/runs/{run_id}/control"
    cookie = login(server)
    assert server.call("POST", path, {"action": "stop"}, token=None, Cookie=cookie)[0] == 403
    assert server.call("DELETE", f"/loom/api/runs/{run_id}", token=None, Cookie=cookie)[0] == 403
    assert server.call("GET", "/loom/api/runs", token=None, Cookie=cookie)[0] == 200
    elsewhere = {"Cookie": cookie, "Origin": "http://elsewhere.example"}
    assert server.call("GET", "/loom/api/runs", token=None, **elsewhere)[0] == 404
    assert ControlReader(server.folder(run_id)).poll() == []


def login(server: Any) -> str:
    with urllib.request.urlopen(server.request("GET", "/api/me?token=t", token=None)) as answer:
        return "; ".join(said.split(";")[0] for said in answer.headers.get_all("Set-Cookie"))


def ledger(files: int = 120) -> Ledger:
    paths = [f"pkg/m{n:03}.py" for n in range(files)]
    rows = [
        Evidence(path, rule, points / 2, f"tariff {n}", n + 1, "tariff")
        for n, path in enumerate(paths)
        for rule, points in (("term in path", files - n), ("changed in git", 1.0))
        if rule == "term in path" or n % 2
    ]
    scores = [sum(row.points for row in rows if row.path == path) for path in paths]
    return Ledger("tariff", paths, scores, lambda: rows, list)


def test_the_whole_ledger_is_sorted_filtered_and_paged(server: Any) -> None:
    run_id, _ = server.store(REVIEW)
    path = f"/loom/api/runs/{run_id}/ledger"
    assert server.call("GET", path)[0] == 404
    (server.folder(run_id) / "ledger.json").write_text(ledger().to_json())
    first = server.call("GET", path)[1]
    assert (first["total"], first["matching"], len(first["files"])) == (120, 120, 50)
    assert first["families"] == ["term", "git"]  # as the rules have them
    assert [file["rank"] for file in first["files"][:3]] == [1, 2, 3]
    row = first["files"][1]["rows"][1]
    assert (row["rule"], row["points"], row["line"], row["family"]) == ("changed in git", "+0.5", 2, "git")
    rest = server.call("GET", f"{path}?offset=100&limit=50")[1]["files"]
    assert [file["rank"] for file in rest] == list(range(101, 121))
    found = server.call("GET", f"{path}?q=TARIFF%20117")[1]
    assert [(file["path"], file["rank"]) for file in found["files"]] == [("pkg/m117.py", 118)]
    assert server.call("GET", f"{path}?path=m00&order=path&limit=2")[1]["matching"] == 10
    most = server.call("GET", f"{path}?order=evidence&limit=1")[1]["files"][0]
    assert (most["rank"], len(most["rows"])) == (2, 2)
    only = server.call("GET", f"{path}?families=git")[1]
    assert only["matching"] == 60
    assert {row["family"] for file in only["files"] for row in file["rows"]} == {"git"}
    for wrong in ("limit=201", "limit=x", "offset=-1", "order=size"):
        assert server.call("GET", f"{path}?{wrong}")[0] == 400


def test_it_is_said_what_keeps_a_file_from_ranking_higher(server: Any) -> None:
    run_id, _ = server.store(REVIEW)
    path = f"/loom/api/runs/{run_id}/why-not?path="
    status, answer = server.call("GET", f"{path}m099.py")
    assert status == 404
    assert "has no ledger yet" in answer["message"]
    (server.folder(run_id) / "ledger.json").write_text(ledger().to_json())
    lines = server.call("GET", f"{path}M099.py")[1]["lines"]
    assert lines[0].startswith("pkg/m099.py is number 100 with 11.0 points, 49.0 behind pkg/m000.py")
    assert any("term in path" in line for line in lines[1:])
    assert "the first already" in server.call("GET", f"{path}m000.py")[1]["lines"][0]
    assert "shows no evidence" in server.call("GET", f"{path}nowhere.py")[1]["lines"][0]


def test_a_document_is_told_once_or_followed(server: Any) -> None:
    run_id, log = server.store(StateChanged(state=RunState.RUNNING), task="2\u202e kg")
    path = f"/loom/api/runs/{run_id}"
    document = server.call("GET", f"{path}/document")[1]
    assert (document["task"], document["state"], document["at_work"]) == ("2\u202e kg", "running", True)
    assert document["title"]["values"]["text"] == "2⟨U+202E⟩ kg"
    assert [step["node"] for step in document["steps"]] == ["architect", "explorer", "coder", "check", "review"]
    news = server.stream(run_id, route="follow")
    assert set(next(news)) == set(document)
    log.emit(REVIEW)
    told = next(part for part in news if "state" in part)
    assert (told["state"], told["at_work"]) == ("review", False)


def test_a_run_in_the_list_is_fit_to_be_shown(server: Any) -> None:
    run_id, _ = server.store(REVIEW, task="hidden\u202e words\nin lines", run_id="20200101-000002-000-cccc")
    run = server.call("GET", "/loom/api/runs?q=hidden")[1]["runs"][0]
    assert (run["id"], run["title"]) == (run_id, "hidden⟨U+202E⟩ words in lines")
    assert (run["word"]["id"], run["word"]["text"]) == ("state.review", "waiting for review")


def test_a_ledger_that_is_known_is_not_sent_again(server: Any) -> None:
    run_id, _ = server.store(REVIEW)
    path = f"/loom/api/runs/{run_id}/ledger"
    file = server.folder(run_id) / "ledger.json"
    file.write_text(ledger(3).to_json())
    with urllib.request.urlopen(server.request("GET", path)) as answer:
        tag = answer.headers["Etag"]
    assert server.call("GET", path, **{"If-None-Match": tag})[0] == 304
    file.write_text(ledger(4).to_json())
    assert server.call("GET", path, **{"If-None-Match": tag})[0] == 200


def test_the_index_of_every_workspace_is_told(server: Any) -> None:
    server.store(Indexed(files=41, changed=2, removed=0, seconds=0.1), root=server.root / "indexed")
    told = server.call("GET", "/loom/api/index")[1]["workspaces"]
    entry = next(entry for entry in told if entry["workspace"] == "indexed")
    assert (entry["files"], entry["runs"]) == (41, 1)


def test_nothing_of_a_run_is_left_in_the_way(server: Any) -> None:
    shutil.rmtree(server.folder("gone"), ignore_errors=True)
    folder = server.folder("gone")
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{not json")
    assert server.call("GET", "/loom/api/runs")[0] == 200
    assert server.call("GET", "/loom/api/runs/gone/events")[0] == 404


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGSTOP")
def test_clicks_on_a_stopped_kernel_hold_nobody_up(server: Any) -> None:
    workspace = project(server.root / "stopped")
    kernel = subprocess.Popen(
        [sys.executable, "-c", scripted_runs.OWNER, str(workspace), str(Path(scripted_runs.__file__).parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "JUPYTER_DATA_DIR": str(server.data)},
        text=True,
    )
    assert kernel.stdout is not None
    run_id = kernel.stdout.readline().strip()
    kernel.send_signal(signal.SIGSTOP)
    path = f"/loom/api/runs/{run_id}/control"
    answered: list[tuple[float, int, Any]] = []

    def click() -> None:
        begin = time.monotonic()
        status, said = server.call("POST", path, {"action": "accept"})
        answered.append((time.monotonic() - begin, status, said))

    clicks = [threading.Thread(target=click) for _ in range(6)]
    try:
        for thread in clicks:
            thread.start()
        time.sleep(0.5)
        begin = time.monotonic()
        assert server.call("GET", "/loom/api/runs")[0] == 200
        assert server.call("GET", f"/loom/api/runs/{run_id}/ledger")[0] == 200
        assert time.monotonic() - begin < 3
        wait_for(lambda: len(answered) >= 3, 5)
        assert {status for _, status, _ in answered} == {503}
        for thread in clicks:
            thread.join(20)
        assert sorted(status for _, status, _ in answered) == [409, 409, 409, 503, 503, 503]
        assert all("nothing was done" in said["message"] for _, status, said in answered if status == 409)
        kernel.send_signal(signal.SIGCONT)
        time.sleep(0.5)
        assert (workspace / "tariff.py").read_text() == BEFORE
        assert server.call("POST", path, {"action": "accept"})[0] == 200
        assert (workspace / "tariff.py").read_text() == AFTER
    finally:
        kernel.kill()
        kernel.communicate()


@pytest.mark.parametrize("zeros", [19, 30, 5000])
def test_a_number_may_have_zeros_before_it_and_no_more(server: Any, zeros: int) -> None:
    noughts = "0" * zeros
    for query, status in (
        (noughts, 200),
        (f"{noughts}7", 200),
        (f"{noughts}101", 400),
        (f"1{noughts}", 400),
        ("9" * zeros, 400),
        ("-1", 400),
        ("1e3", 400),
        ("%D9%A3", 400),
        ("", 400),
    ):
        assert server.call("GET", f"/loom/api/runs?limit={query}")[0] == status, query[:30]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_a_fifo_in_a_runs_folder_holds_no_thread_of_the_server(server: Any) -> None:
    for name in ("progress.jsonl", "ledger.json", "run.json", "control.jsonl", "owner.lock"):
        run_id, log = server.store(REVIEW)
        log.close()
        (server.folder(run_id) / name).unlink(missing_ok=True)
        os.mkfifo(server.folder(run_id) / name)
        for _ in range(5):
            server.call("GET", f"/loom/api/runs/{run_id}/ledger")
            server.call("POST", f"/loom/api/runs/{run_id}/control", {"action": "reject"})
        assert server.call("GET", "/loom/api/runs")[0] == 200
        shutil.rmtree(server.folder(run_id))


GUARDED = """[tool.loom]
check = "pytest -q"
[tool.loom.models.t]
url = "http://gpu.example.org/v1"
key = "LOOM_TEAM"
"""


def test_the_settings_of_a_workspace_are_shown_trusted_and_not_any_more(server: Any) -> None:
    root = server.root / "trusting"
    root.mkdir()
    path = "/loom/api/trust?workspace=trusting"
    assert server.call("GET", path)[1]["needed"] == []
    (root / "pyproject.toml").write_text(GUARDED)
    status, shown = server.call("GET", path)
    assert status == 200
    assert [line["key"] for line in shown["needed"]] == ["check", "models.t"]
    assert "LOOM_TEAM are sent to gpu.example.org" in shown["needed"][1]["does"]
    assert not shown["granted"]
    (root / "pyproject.toml").write_text(GUARDED.replace("pytest -q", "curl example.org"))
    status, said = server.call("POST", f"{path}&digest={shown['digest']}", b"")
    assert (status, "changed since they were shown" in said["message"]) == (409, True)
    digest = server.call("GET", path)[1]["digest"]
    assert server.call("POST", f"{path}&digest={digest}", b"")[1]["granted"]
    assert server.call("GET", path)[1]["granted"]
    (root / "pyproject.toml").write_text(GUARDED)
    found = server.call("GET", path)[1]
    assert (found["granted"], found["changed"]) == (False, ["check"])
    assert server.call("POST", f"{path}&digest={found['digest']}", b"")[1]["granted"]
    assert not server.call("DELETE", path)[1]["granted"]
    assert not server.call("GET", path)[1]["granted"]


@pytest.mark.parametrize(
    "place", ["..", "/", "/etc", "parcels/../..", "nowhere", "x" * 5_000, "out", "circle", "tariff.py"]
)
def test_only_workspaces_under_the_root_can_be_trusted(server: Any, place: str) -> None:
    for name, to in (("out", "/"), ("circle", "circle")):
        if not (server.root / name).is_symlink():
            (server.root / name).symlink_to(to)
    (server.root / "tariff.py").write_text("")
    for method in ("GET", "POST", "DELETE"):
        body = b"" if method == "POST" else None
        assert server.call(method, f"/loom/api/trust?workspace={place}&digest=x", body)[0] == 404


def test_nobody_is_trusted_without_having_been_shown(server: Any) -> None:
    (server.workspace / "pyproject.toml").write_text(GUARDED)
    assert server.call("POST", "/loom/api/trust?workspace=parcels", b"")[0] == 400
    assert server.call("POST", "/loom/api/trust?workspace=parcels&digest=", b"")[0] == 409
    assert not server.call("GET", "/loom/api/trust?workspace=parcels")[1]["granted"]
    (server.workspace / "pyproject.toml").unlink()
