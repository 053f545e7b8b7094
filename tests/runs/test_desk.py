from __future__ import annotations

from pathlib import Path

from loom_jupyter.context.context_map import Rewrite
from loom_jupyter.context.index import Index
from loom_jupyter.edits.apply import apply
from loom_jupyter.runs.desk import _touches_secret, whole
from loom_jupyter.settings import Settings

TOKEN = "gh" + "p_" + "a1B2c3D4e5" * 3 + "f6G7h8"
SOURCE = f'def connect(n):\n    key = "{TOKEN}"\n    return open_it(key, n - 1)\n'


def test_a_masked_line_is_kept_and_may_not_be_changed(tmp_path: Path) -> None:
    root = tmp_path / "work"
    root.mkdir()
    (root / "a.py").write_text(SOURCE)
    index = Index(root, Settings(), tmp_path)
    ledger = index.rank("connect one too few")
    (target, *_) = index.map(ledger, index.offers(ledger), 2000).targets
    assert TOKEN not in target.text
    mended = Rewrite(target=target, text=target.text.replace("n - 1", "n"))
    assert not _touches_secret(mended)
    (change,) = apply([mended], root)
    assert change.after.decode() == SOURCE.replace("n - 1", "n")
    assert _touches_secret(Rewrite(target=target, text=target.text.replace("key = ", "token = ")))


def test_a_short_file_of_stubs_is_one_unit(tmp_path: Path) -> None:
    root = tmp_path / "work"
    root.mkdir()
    (root / "codec.py").write_text("def encode(text):\n    pass\n\n\ndef decode(text):\n    pass\n")
    (root / "other.py").write_text("def encode_all(texts):\n    return [encode(t) for t in texts]\n")
    index = Index(root, Settings(), tmp_path)
    found = whole(index.offers(index.rank("encode decode")), root)
    assert sorted((o.path, o.symbol, o.start, o.end) for o in found) == [
        ("codec.py", None, 1, 6),
        ("other.py", "encode_all", 1, 2),
    ]
    (root / "codec.py").write_text((root / "codec.py").read_text() + "x = 1\n" * 100)
    assert all(o.symbol for o in whole(index.offers(index.rank("encode decode")), root))
