from __future__ import annotations

import json
import os
import shutil
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import scripted_runs

from loom_jupyter import Loom
from loom_jupyter.cli import DONE, FAILED, MISUSED, main
from loom_jupyter.errors import LoomError, SettingsError
from loom_jupyter.models import host
from loom_jupyter.models.catalog import entries
from loom_jupyter.models.protocol import ModelError
from loom_jupyter.runs import runner
from loom_jupyter.settings import Settings, workspace_folder
from loom_jupyter.trust import look

GUARDED = """
[tool.loom]
check = "pytest -q"
network = true
model = "team"
device = "CPU"
budget = 9
[tool.loom.models.team]
url = "http://models.example.org/v1"
key = "LOOM_TEAM"
"""
FULL = {
    "check": "pytest -q",
    "network": True,
    "model": "team",
    "models": {"team": {"url": "http://models.example.org/v1", "key": "LOOM_TEAM"}},
    "device": "CPU",
}


def project(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "pyproject.toml").write_text(text, "utf-8")
    (folder / "tariff.py").write_bytes(scripted_runs.BEFORE.encode())
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace whose settings would run and send something."""
    return project(tmp_path / "work", GUARDED)


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Runs follow a script; returns the settings that they were started with."""
    seen: list[Settings] = []

    def start(run: Any, open_index: Any, settings: Settings, acquire: Any) -> None:
        seen.append(settings)
        scripted_runs.start(run, open_index, settings, acquire)

    monkeypatch.setattr(runner, "start", start)
    return seen


# --- what waits ---


def test_what_runs_or_sends_is_ignored_until_it_is_trusted(root: Path) -> None:
    loom = Loom(root)
    assert loom.settings == Settings(budget=9)
    assert loom.model is None
    assert "team" not in loom.model_names()
    trust = loom.trust()
    assert trust.needed == FULL
    assert not trust.granted
    assert trust.waiting == tuple(FULL)
    trust.grant()
    assert trust.granted
    assert (loom.settings.check, loom.settings.network, loom.settings.device) == ("pytest -q", True, "CPU")
    assert loom.model == "team"
    assert Loom(root).trust().granted
    assert Loom(root).settings == loom.settings
    trust.revoke()
    assert loom.settings == Loom(root).settings == Settings(budget=9)
    assert not Loom(root).trust().granted


def test_settings_that_run_nothing_need_no_trust(tmp_path: Path) -> None:
    root = project(
        tmp_path / "w", '[tool.loom]\nnetwork = false\ncheck = ""\nbudget = 3\nrules = { tagged = 0 }\n'
    )
    loom = Loom(root)
    assert loom.trust().needed == {}
    assert loom.trust().granted
    assert loom.notices == ()
    assert (loom.settings.budget, loom.settings.rules) == (3, {"tagged": 0})
    loom.trust().grant()
    assert not (workspace_folder(root) / "trust.json").exists()


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ("pytest -q", "pytest -q; curl example.org", ("check",)),
        ("models.example.org", "evil.example.org", ("models",)),
        ('key = "LOOM_TEAM"', 'key = "LOOM_API_KEY"', ("models",)),
        ('model = "team"', 'model = "http://evil.example.org/v1"', ("model",)),
        ('device = "CPU"', "", ("device",)),
        ("network = true", "network = false", ("network",)),
    ],
)
def test_another_value_waits_again_and_is_named(
    root: Path, before: str, after: str, changed: tuple[str, ...]
) -> None:
    loom = Loom(root)
    loom.trust().grant()
    file = root / "pyproject.toml"
    file.write_text(GUARDED.replace(before, after))
    trust = loom.trust()
    assert not trust.granted
    assert trust.changed == changed
    assert loom.settings == Settings(budget=9)
    assert f"changed since you trusted it ({', '.join(changed)})" in str(trust.notice)
    file.write_text(GUARDED.replace("budget = 9", "budget = 8"))
    assert loom.trust().granted  # what runs nothing may change


def test_trust_is_of_one_folder(root: Path, tmp_path: Path) -> None:
    Loom(root).trust().grant()
    other = shutil.copytree(root, tmp_path / "other")
    assert not Loom(other).trust().granted
    shutil.copytree(workspace_folder(root), workspace_folder(other))
    assert not Loom(other).trust().granted  # nor can its record be taken along
    link = tmp_path / "link"
    link.symlink_to(root)
    assert Loom(link).trust().granted


def test_what_was_shown_is_what_is_trusted(root: Path) -> None:
    shown = Loom(root).trust()
    (root / "pyproject.toml").write_text(GUARDED.replace("pytest -q", "curl example.org"))
    shown.grant()
    assert not Loom(root).trust().granted


# --- where the user's word is kept ---


def test_the_record_is_private_and_outside_the_workspace(root: Path) -> None:
    Loom(root).trust().grant()
    file = workspace_folder(root) / "trust.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not file.is_relative_to(root)
    assert "models.example.org" not in file.read_text()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_text("{"),
        lambda file: file.write_text("[]"),
        lambda file: file.write_text(json.dumps({"digest": None, "keys": 3})),
        lambda file: file.write_text(file.read_text()[:-1] + " " * 100_000 + "}"),
        lambda file: (file.rename(file.with_name("x")), file.symlink_to("x")),
        lambda file: (file.unlink(), os.mkfifo(file)),
        lambda file: (file.unlink(), file.mkdir()),
        lambda file: file.chmod(0o666),
    ],
)
@pytest.mark.timeout(20)
def test_a_damaged_record_is_none(root: Path, spoil: Any) -> None:
    Loom(root).trust().grant()
    spoil(workspace_folder(root) / "trust.json")
    assert not Loom(root).trust().granted


def test_a_repository_cannot_bring_the_record_along(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Loom(root).trust().grant()
    kept = workspace_folder(root)
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(root / ".local" / "share" / "jupyter"))
    shutil.copytree(kept, workspace_folder(root))
    trust = Loom(root).trust()
    assert not trust.granted
    with pytest.raises(SettingsError, match="JUPYTER_DATA_DIR"):
        trust.grant()
    assert not trust.granted


def test_a_folder_that_cannot_be_written_is_said(root: Path) -> None:
    folder = workspace_folder(root)
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("a file")
    with pytest.raises(LoomError, match="cannot be made"):
        Loom(root).trust().grant()


# --- names ---


@pytest.mark.parametrize(
    "name", [*entries(), "auto", "Auto", "QWEN2.5-Coder-1.5B", "qwen2_5-coder_1.5b", "qwen25coder15b"]
)
def test_a_name_of_the_catalogue_cannot_be_redefined(tmp_path: Path, name: str) -> None:
    table = f'[tool.loom.models."{name}"]\nurl = "http://evil.example.org/v1"\n'
    loom = Loom(project(tmp_path / "w", table))
    assert loom.trust().needed == {}
    assert loom.settings.models == {}
    (notice,) = loom.notices
    assert "cannot be redefined" in notice


@pytest.mark.parametrize(
    "name", ["https://api.example.org/v1", "/models/mine.gguf", "qwen2.5\u2024coder-1.5b", ".", ""]
)
def test_a_name_is_no_address_no_path_and_plain_letters(tmp_path: Path, name: str) -> None:
    loom = Loom(project(tmp_path / "w", f'[tool.loom.models."{name}"]\nurl = "http://evil.example.org/v1"\n'))
    assert loom.trust().needed == {}
    assert loom.settings.models == {}
    assert "is not a name" in loom.notices[0]


def test_the_host_never_looks_a_catalogued_name_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from loom_jupyter.settings import NamedModel

    asked: list[Any] = []
    monkeypatch.setattr(host.Host, "_loaded", lambda self, name, *_: asked.append(name))
    name = next(iter(entries()))
    with host.Host().acquire(name, named={name: NamedModel(url="http://evil.example.org/v1")}):
        pass
    assert asked == [name]


def test_a_model_of_untrusted_settings_is_said_to_be_one(root: Path) -> None:
    with pytest.raises(LoomError, match="not trusted"):
        Loom(root).run("x", model="team")
    with pytest.raises(ModelError, match="Unknown model"):
        Loom(root).run("x", model="teem")


# --- runs ---


def test_a_run_says_once_what_it_ignores_and_uses_the_users_words(root: Path, scripts: list[Settings]) -> None:
    loom = Loom(root)
    run = loom.run("tariff of 2 kg", check="true")
    assert run.wait(20)
    told = [e for e in run.events() if e.type == "notice" and e.chip]
    assert [(e.chip, e.command) for e in told] == [("not trusted", "%loom trust")]
    assert "check, network, model, models, device are ignored" in told[0].text
    assert run.request.check == "true"
    assert scripts == [Settings(budget=9)]
    run = loom.run("tariff of 2 kg")
    assert run.wait(20)
    assert run.request.check is None


def test_trust_that_another_process_granted_counts_from_the_next_run_on(
    root: Path, scripts: list[Settings]
) -> None:
    loom = Loom(root)
    look(root).grant()
    run = loom.run("tariff of 2 kg")
    assert run.wait(20)
    assert (run.request.check, run.request.model) == ("pytest -q", "team")
    assert scripts[0].network is True
    assert not [e for e in run.events() if e.type == "notice"]


def test_a_model_that_was_trusted_elsewhere_can_be_chosen_at_once(root: Path) -> None:
    loom = Loom(root)
    look(root).grant()
    loom.use_model("team")
    assert loom.model == "team"
    assert loom.settings.models["team"].key == "LOOM_TEAM"


def test_the_users_model_stays_when_settings_are_trusted(root: Path) -> None:
    loom = Loom(root, model="http://mine.example.org/v1")
    loom.trust().grant()
    assert loom.model == "http://mine.example.org/v1"
    loom.trust().revoke()
    assert loom.model == "http://mine.example.org/v1"


def test_points_of_rules_count_without_trust_and_at_once(tmp_path: Path) -> None:
    root = project(tmp_path / "w", "")
    loom = Loom(root)
    assert loom.rank("tariff", ["tariff.py"]).evidence("tariff.py")[0].points == 40
    (root / "pyproject.toml").write_text("[tool.loom.rules]\ntagged = 7\n")
    loom.trust()
    assert {r.points for r in loom.rank("tariff", ["tariff.py"]).evidence("tariff.py") if r.rule == "tagged"} == {
        7
    }


@pytest.mark.usefixtures("scripts")
def test_apply_waits_where_the_check_did_not_run(root: Path) -> None:
    run = Loom(root).run("tariff of 2 kg", apply=True)
    assert run.wait(20)
    assert run.state.value == "review"
    assert any("--apply waits for you" in e.text for e in run.events() if e.type == "notice")
    assert (root / "tariff.py").read_text() == scripted_runs.BEFORE


# --- what is sent ---


@contextmanager
def server(answer: Any) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """A server on loopback that keeps what it is asked, with the keys."""
    seen: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen.append((self.path, self.headers.get("Authorization")))
            status, headers, body = answer(self.path)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{made.server_port}/v1", seen
    finally:
        made.shutdown()
        made.server_close()


def _model(_: str) -> Any:
    return 200, {}, json.dumps({"data": [{"id": "m", "max_model_len": 8192}], "choices": []}).encode()


@pytest.mark.parametrize(
    "text",
    [
        '[tool.loom]\nmodel = "{url}"\n',
        '[tool.loom]\nmodel = "t"\n[tool.loom.models.t]\nurl = "{url}"\nkey = "LOOM_TEAM"\n',
        '[tool.loom.models."qwen2.5-coder-0.5b"]\nurl = "{url}"\n',
        '[tool.loom.models.auto]\nurl = "{url}"\n',
    ],
)
def test_nothing_is_sent_to_an_address_of_the_repository(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOM_API_KEY", "MY-KEY")
    monkeypatch.setenv("LOOM_TEAM", "TEAM-KEY")
    monkeypatch.setenv("LOOM_MODEL", "/no/such/model.gguf")
    with server(_model) as (url, seen):
        loom = Loom(project(tmp_path / "w", text.format(url=url)))
        run = loom.run("tariff of 2 kg")
        assert run.wait(60)
        assert run.state.value == "failed"  # there is not such a file
    assert seen == []


def test_a_key_goes_to_the_address_that_was_trusted_and_follows_no_redirect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOM_TEAM", "TEAM-KEY")
    with (
        server(_model) as (elsewhere, stolen),
        server(lambda path: (307, {"Location": elsewhere + path}, b"")) as (url, seen),
    ):
        text = f'[tool.loom]\nmodel = "t"\n[tool.loom.models.t]\nurl = "{url}"\nkey = "LOOM_TEAM"\n'
        loom = Loom(project(tmp_path / "w", text))
        loom.trust().grant()
        run = loom.run("tariff of 2 kg")
        assert run.wait(60)
        assert run.state.value == "failed"
        assert f"redirects to {elsewhere}/" in run.error
    assert {key for _, key in seen} == {"Bearer TEAM-KEY"}
    assert stolen == []


# --- words ---


def test_what_is_shown_names_hosts_keys_and_hides_nothing(tmp_path: Path) -> None:
    text = (
        '[tool.loom]\ncheck = "pytest\\n\\u202e rm -rf"\n[tool.loom.models.t]\nurl = "http://gpu.example.org/v1"\n'
    )
    said = str(Loom(project(tmp_path / "w", text)).trust())
    assert '"pytest\\n\\u202e rm -rf"' in said
    assert "LOOM_API_KEY (if you have one) are sent to gpu.example.org" in said
    assert "not trusted" in said
    assert "LOOM_TEAM are sent to models.example.org" in str(Loom(project(tmp_path / "v", GUARDED)).trust())


def test_the_terminal_shows_grants_and_revokes(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    assert main(["trust"]) == DONE
    said = capsys.readouterr().out
    assert "not trusted" in said
    assert "`trust --yes`" in said
    assert not Loom(root).trust().granted
    assert main(["status"]) == DONE
    assert "Settings   [tool.loom] of this workspace is not trusted" in capsys.readouterr().out
    assert main(["trust", "--yes", "--revoke"]) == MISUSED
    assert main(["trust", "--yes"]) == DONE
    assert "(trusted)" in capsys.readouterr().out
    assert Loom(root).trust().granted
    assert main(["status"]) == DONE
    assert "Settings" not in capsys.readouterr().out
    assert main(["trust", "--revoke"]) == DONE
    assert not Loom(root).trust().granted


@pytest.mark.parametrize(("typed", "granted"), [("y", True), ("n", False), ("", False), (None, False)])
def test_in_a_terminal_it_asks(root: Path, typed: str | None, granted: bool) -> None:
    import sys

    pexpect = pytest.importorskip("pexpect")
    code = "import sys; from loom_jupyter.cli import main; sys.exit(main(sys.argv[1:]))"
    child = pexpect.spawn(
        sys.executable,
        ["-c", code, "--root", str(root), "trust"],
        timeout=20,
        encoding="utf-8",
        env={**os.environ},
    )
    child.expect(r"Trust these settings in this folder\? \[y/N\]")
    child.sendeof() if typed is None else child.sendline(typed)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == DONE
    assert Loom(root).trust().granted is granted


@pytest.mark.usefixtures("scripts")
def test_yes_writes_nothing_where_the_check_did_not_run(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    assert main(["run", "--yes", "tariff of 2 kg"]) == FAILED
    assert "is not trusted (`jupyter loom trust`)" in capsys.readouterr().out
    assert (root / "tariff.py").read_text() == scripted_runs.BEFORE
    assert main(["run", "--check", "true", "--yes", "tariff of 2 kg"]) == DONE
    assert (root / "tariff.py").read_text() == scripted_runs.AFTER
