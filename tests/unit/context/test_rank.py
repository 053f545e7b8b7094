from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from loom_jupyter.context.index import Index
from loom_jupyter.context.query import read
from loom_jupyter.context.term_index import Vocabulary
from loom_jupyter.context.terms import stem, synonyms

Do = Callable[..., None]
Open = Callable[..., Index]


def rules_of(index: Index, request: str, path: str) -> dict[str, float]:
    out: dict[str, float] = {}
    for row in index.rank(request).evidence(path):
        out[row.rule] = out.get(row.rule, 0.0) + row.points
    return out


def test_tests_and_docs_count_less_unless_asked_for(shop: Path, opened: Open) -> None:
    index = opened(shop)
    assert rules_of(index, "tariff", "tests/test_tariff.py")["test, counts less"] < 0
    assert "test, counts less" not in rules_of(index, "add a test for the tariff", "tests/test_tariff.py")
    assert index.rank("test the small tariff").scores[0][0] == "tests/test_tariff.py"
    assert rules_of(index, "weigh a parcel", "docs/guide.md")["documentation, counts less"] < 0
    assert index.rank("documentation of weighing a parcel").scores[0][0] == "docs/guide.md"


def test_old_commit_messages_lead_to_files(shop: Path, opened: Open, write: Do, git: Do) -> None:
    write(shop, {"src/parcel.py": "class Parcel:\n    weight = 1.0\n"})
    git(shop, "commit", "-qam", "Stop the conveyor from jamming\n\nSeen in winter.")
    index = opened(shop)
    found = rules_of(index, "the conveyor jams again", "src/parcel.py")
    assert found["term in old commits"] > 0
    assert found["similar commit"] > 0
    detail = next(r.detail for r in index.rank("conveyor").rows if r.rule == "similar commit")
    assert detail.endswith("Stop the conveyor from jamming")


def test_history_follows_a_moved_file(shop: Path, opened: Open, write: Do, git: Do) -> None:
    write(shop, {"src/parcel.py": "class Parcel:\n    weight = 1.0\n"})
    git(shop, "commit", "-qam", "Stop the conveyor from jamming")
    git(shop, "mv", "src/parcel.py", "src/box.py")
    git(shop, "commit", "-qm", "Rename")
    assert "term in old commits" in rules_of(opened(shop), "conveyor", "src/box.py")


def test_commits_are_kept_and_only_new_ones_read(
    shop: Path, opened: Open, write: Do, git: Do, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    opened(shop, folder).refresh()
    index = opened(shop, folder)
    index.refresh()
    assert index.sql("select subject from commits")["subject"].tolist() == ["Open the shop"]
    write(shop, {"src/parcel.py": "class Parcel:\n    weight = 2.0\n"})
    git(shop, "commit", "-qam", "Weigh twice")
    index.refresh()
    assert set(index.sql("select subject from commits")["subject"]) == {"Open the shop", "Weigh twice"}


def test_identifiers_and_joined_words(shop: Path, opened: Open, write: Do) -> None:
    write(shop, {"src/rates.py": "def small_parcel_rate():\n    return 1\n\n\ndef parcel_rate():\n    return 2\n"})
    index = opened(shop)
    found = rules_of(index, "`parcel_rate` is wrong", "src/rates.py")
    assert found["identifier used"] == 3
    assert found["identifier defined"] == 2
    assert rules_of(index, "the parcel rate is wrong", "src/rates.py")["words joined"] > 0


def test_documentation_leads_to_what_it_names(shop: Path, opened: Open, write: Do) -> None:
    write(
        shop,
        {
            "docs/holiday.md": "# Closing over Easter\n\nSet `opening_calendar` before the holidays.\n",
            "src/hours.py": "def opening_calendar():\n    return []\n",
        },
    )
    request = "when I am closing over easter the shop is not what I would have liked it to be in the spring"
    ledger = opened(shop).rank(request)
    row = next(r for r in ledger.evidence("src/hours.py") if r.rule == "named in fitting docs")
    assert row.detail == "docs/holiday.md"


def test_plain_words_meet_their_synonyms(shop: Path, opened: Open, write: Do) -> None:
    write(shop, {"src/view.py": "def render(directory):\n    return directory\n"})
    request = "when I open the shop in the morning the folder is not what I would have liked it to be"
    assert read(request).plain > 0.5
    assert "synonym" in rules_of(opened(shop), request, "src/view.py")
    assert read("Fix folder rendering").plain == 0
    assert read("why does `folder` not show up when I open it in the morning as I do all the time").plain == 0


def test_code_after_the_first_line_weighs_less(shop: Path, opened: Open) -> None:
    def points(request: str) -> float:
        rows = opened(shop).rank(request).evidence("src/tariff.py")
        return next(r.points for r in rows if (r.rule, r.detail) == ("identifier used", "tariff"))

    assert read("`Parcel`\n\nnot `tariff`").code == {"parcel": 1.0, "tariff": 0.3}
    assert points("`Parcel`\n\nnot `tariff`") < points("`Parcel` not `tariff`")


@pytest.mark.parametrize(
    ("request_", "share"),
    [
        ("clean up shop/till a bit", 1.0),
        ("till: clean up", 0.55),
        ("fix(till)!: clean up", 0.55),
        ("clean up\n\nshop/till", 0.0),
        ("clean up op/till", 0.0),
    ],
)
def test_folder_named(shop: Path, opened: Open, write: Do, request_: str, share: float) -> None:
    write(shop, {"shop/till/drawer.py": "def clean():\n    return 0\n"})
    found = rules_of(opened(shop), request_, "shop/till/drawer.py")
    assert found.get("folder named", 0.0) == pytest.approx(8 * share, abs=0.01)


def test_what_was_just_changed_counts(shop: Path, opened: Open, write: Do, git: Do) -> None:
    for n in range(12):
        write(shop, {"src/parcel.py": f"class Parcel:\n    weight = {n}.0\n"})
        git(shop, "commit", "-qam", f"Weigh {n}")
    write(shop, {"README.md": "# Shop\n\nSells parcels.\n"})
    git(shop, "commit", "-qam", "Tell")
    rows = opened(shop).rank("the parcel").evidence("src/parcel.py")
    found = {r.rule: r for r in rows}
    assert found["just changed"].points > 0
    assert found["often changed"].detail == "13 of the last 14 commits"


def test_mention_after_the_first_line_weighs_less(shop: Path, opened: Open) -> None:
    index = opened(shop)
    assert rules_of(index, "look at src/tariff.py", "src/tariff.py")["path mentioned"] == 24
    assert 0 < rules_of(index, "prices\n\nsee src/tariff.py", "src/tariff.py")["path mentioned"] < 12


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("files", "file"),
        ("parsing", "parsed"),
        ("deprecation", "deprecates"),
        ("entries", "entry"),
        ("stopped", "stop"),
    ],
)
def test_forms_share_a_stem(one: str, other: str) -> None:
    assert stem(one) == stem(other)
    words = Vocabulary()
    words.add([one, other, "unrelated"])
    assert words.forms(one) == [other]


def test_synonyms_are_symmetric() -> None:
    assert "directory" in synonyms("folders")
    assert "folder" in synonyms("directories")
    assert synonyms("xyzzy") == []
