from __future__ import annotations

import errno
import os
import random
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from loom_jupyter.context.index import Index, TagError
from loom_jupyter.errors import Cancelled, LoomError, SettingsError
from loom_jupyter.settings import Settings

Do = Callable[..., None]
Open = Callable[..., Index]
REQUEST = "tariff(weight=2.0) charges too much; up to 2 kg should cost the small one"


def test_refresh_reads_only_what_changed(shop: Path, opened: Open) -> None:
    index = opened(shop)
    assert (index.refresh().files, index.refresh().changed) == (5, 0)
    (shop / "src/parcel.py").write_text("class Parcel:\n    volume = 1\n")
    (shop / "README.md").unlink()
    report = index.refresh()
    assert (report.files, report.changed, report.removed) == (4, 1, 1)
    assert "src/parcel.py" in dict(index.rank("volume").scores)


def test_second_opening_reads_nothing(shop: Path, opened: Open) -> None:
    opened(shop).refresh()
    again = opened(shop)
    assert again.refresh().changed == 0
    assert again.rank(REQUEST).to_json() == opened(shop).rank(REQUEST).to_json()


def test_right_file_and_symbol_come_first(shop: Path, opened: Open) -> None:
    index = opened(shop)
    ledger = index.rank(REQUEST)
    assert ledger.files()["path"][0] == "src/tariff.py"
    assert index.offers(ledger)[0].symbol == "tariff"


def test_points_add_up_exactly(shop: Path, opened: Open) -> None:
    ledger = opened(shop).rank(REQUEST, tagged=["README.md"], terms=["postage", "scale"])
    frame = ledger.dataframe()
    sums = frame.groupby("path", observed=True).points.sum().to_dict()
    assert sums == dict(ledger.scores)
    assert sums


def test_tag_check_and_git_are_rules_of_their_own(shop: Path, opened: Open) -> None:
    (shop / "src/parcel.py").write_text("class Parcel:\n    pass\n")
    ledger = opened(shop).rank(
        "nothing", tagged=["docs/guide.md"], places=[("src/tariff.py", 10, "AssertionError")]
    )
    rows = {(r.path, r.rule): r for r in ledger.rows}
    assert rows["docs/guide.md", "tagged"].points == 40
    assert rows["src/parcel.py", "changed in git"].points == 8
    check = rows["src/tariff.py", "named by the check"]
    assert (check.points, check.line, check.symbol) == (20, 10, "tariff")


def test_mentioned_path_gets_its_rule(shop: Path, opened: Open) -> None:
    for text in ("look at src/tariff.py please", "in `tariff.py`", "the module src.tariff"):
        rules = {r.rule for r in opened(shop).rank(text).evidence("src/tariff.py")}
        assert "path mentioned" in rules, text


def test_architects_terms_only_add(shop: Path, opened: Open) -> None:
    index = opened(shop)
    before = dict(index.rank("postage").scores)
    after = index.rank("postage", terms=["depot"])
    assert before.items() <= dict(after.scores).items() or set(before) <= set(after.files()["path"])
    assert {r.rule for r in after.evidence("src/tariff.py")} == {"term from the Architect"}


def test_unknown_tag_names_the_near_ones(shop: Path, opened: Open) -> None:
    with pytest.raises(TagError, match=r"did you mean src/tariff\.py"):
        opened(shop).rank("x", tagged=["src/tarif.py"])


def test_unknown_rule_is_refused(shop: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="did you mean 'tagged'"):
        Index(shop, Settings(rules={"taged": 1}), tmp_path)


def test_points_can_be_overridden(shop: Path, tmp_path: Path) -> None:
    ledger = Index(shop, Settings(rules={"tagged": 7}), tmp_path).rank("x", tagged=["README.md"])
    assert ledger.evidence("README.md")[0].points == 7


def test_empty_workspace(tmp_path: Path, opened: Open) -> None:
    root = tmp_path / "empty"
    root.mkdir()
    index = opened(root)
    report = index.refresh()
    ledger = index.rank("anything")
    assert (report.files, len(ledger), index.offers(ledger)) == (0, 0, [])
    assert "not a git repository" in report.notices[0]
    assert ledger.files().empty
    assert ledger.dataframe().empty
    assert "No file" in repr(ledger)
    assert index.map(ledger, [], 1000).targets == ()


def test_empty_request(shop: Path, opened: Open) -> None:
    assert len(opened(shop).rank("")) == 0


def test_same_tree_same_ledger_elsewhere_in_any_order(shop: Path, tmp_path: Path, git: Do, opened: Open) -> None:
    expected = opened(shop).rank(REQUEST).to_json()
    other = tmp_path / "elsewhere" / "deep"
    other.mkdir(parents=True)
    files = [p.relative_to(shop) for p in shop.rglob("*") if p.is_file() and ".git" not in p.parts]
    random.Random(3).shuffle(files)
    for name in files:
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(shop / name, other / name)
    shutil.copytree(shop / ".git", other / ".git")
    git(other, "reset", "-q")
    assert opened(other).rank(REQUEST).to_json() == expected


def test_incremental_equals_cold(shop: Path, tmp_path: Path, write: Do, opened: Open) -> None:
    index = opened(shop)
    index.refresh()
    rnd = random.Random(1)
    for step in range(8):
        write(
            shop,
            {f"src/{rnd.choice('abcd')}.py": f"def weight_{step}():\n    return {step}\n" * rnd.randint(1, 4)},
        )
        if step % 3 == 2:
            (shop / "src").joinpath(rnd.choice([p.name for p in (shop / "src").iterdir()])).unlink()
        index.refresh()
    cold = opened(shop, tmp_path / "cold")
    assert index.rank("weight tariff").to_json() == cold.rank("weight tariff").to_json()


def test_cancelled_refresh_leaves_the_index_alone(shop: Path, write: Do, opened: Open) -> None:
    index = opened(shop)
    index.refresh()
    stop = threading.Event()
    stop.set()
    write(shop, {"new.py": "x = 1\n"})
    with pytest.raises(Cancelled):
        index.refresh(stop)
    assert "new.py" not in index.snapshot.number
    assert index.refresh().changed == 1


def test_file_gone_after_the_index_was_made(shop: Path, opened: Open) -> None:
    index = opened(shop)
    ledger = index.rank(REQUEST)
    offers = index.offers(ledger)
    os.unlink(shop / "src/tariff.py")
    made = index.map(ledger, offers, 2000)
    assert all(t.path != "src/tariff.py" for t in made.targets)
    assert any(o.path == "src/tariff.py" for o in made.omitted)


def test_sql_sees_the_index(shop: Path, write: Do, opened: Open) -> None:
    index = opened(shop)
    index.refresh()
    write(shop, {"late.py": "def latecomer():\n    pass\n"})
    index.refresh()
    found = index.sql("select symbol, start from symbols where symbol in ('tariff', 'latecomer') order by 1")
    assert found.to_dict("list") == {"symbol": ["latecomer", "tariff"], "start": [1, 8]}


def test_a_workspace_that_is_gone_is_one_sentence(shop: Path, opened: Open) -> None:
    index = opened(shop)
    index.refresh()
    shop.rename(shop.with_name("elsewhere"))
    with pytest.raises(LoomError, match="is not there any more; open the folder"):
        index.refresh()
    assert index.snapshot.paths


@pytest.mark.parametrize(
    "fault", [OSError(24, "Too many open files"), MemoryError(), RuntimeError("no new thread")]
)
def test_a_fault_of_the_system_is_one_sentence_and_leaves_the_index(
    shop: Path, opened: Open, write: Do, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    index = opened(shop)
    index.refresh()
    before = index.snapshot
    write(shop, {"src/new.py": "x = 1\n"})

    def fail(*_: object, **__: object) -> None:
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr("loom_jupyter.context.index.gather", fail)
        with pytest.raises(LoomError, match="try again"):
            index.refresh()
    assert index.snapshot is before
    assert index.refresh().changed == 1


def test_a_file_that_could_not_be_read_for_a_while_is_read_later(
    shop: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = opened(shop)

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr("loom_jupyter.context.files.read", fail)
        assert index.refresh().files == 0
    assert index.refresh().files == 5
    assert index.refresh().changed == 0


def test_what_jupyter_and_loom_keep_in_the_workspace_is_not_indexed(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = shop / ".data"
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(data))
    (data / "runtime").mkdir(parents=True)
    (data / "runtime/jpserver-1.json").write_text('{"token": "x"}')
    folder = shop / "kept"
    folder.mkdir()
    (folder / "run.json").write_text("{}")
    for git_knows in (True, False):
        if not git_knows:
            (shop / ".git").rename(shop.parent / "aside")
        index = Index(shop, Settings(), folder)
        index.refresh()
        assert len(index.snapshot.paths) == 5


def test_names_that_are_not_utf8_in_the_history_do_no_harm(
    shop: Path, git: Do, opened: Open, tmp_path: Path
) -> None:
    bad = os.fsdecode(b"pri\xe8re.py")
    (shop / bad).write_text("x = 1\n" * 9)
    git(shop, "add", "-A")
    git(shop, "commit", "-q", "-m", "Add a prayer")
    (shop / bad).rename(shop / "prayer.py")
    (shop / "README.md").rename(shop / os.fsdecode(b"r\xe9adme"))
    git(shop, "add", "-A")
    git(shop, "commit", "-q", "-m", "Rename the prayer\x01\x02\x03")
    folder = tmp_path / "data"
    folder.mkdir()
    for _ in range(2):
        index = opened(shop, folder)
        report = index.refresh()
        assert not report.notices
        assert set(index.sql("select subject from commits").subject) >= {"Add a prayer", "Open the shop"}
        assert index.rank("prayer").files()["path"][0] == "prayer.py"
