"""What a rewrite forgets to import is imported, where the standard library alone can be meant."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from loom_jupyter.context.context_map import Rewrite, Target
from loom_jupyter.edits.apply import apply, digest
from loom_jupyter.edits.imports import statements, unknown_modules, with_imports
from loom_jupyter.gate.gate import gate

USE = "def f(x):\n    return {}\n"
PLAIN = USE.format("x")


@pytest.mark.parametrize(
    ("head", "use", "wanted"),
    [
        ("", "re.sub('a', 'b', x)", "import re\n\n"),
        ("import os\n\n\n", "re.sub('a', 'b', x)", "import os\nimport re\n\n\n"),
        ("import sys\n\n\n", "re.sub('a', 'b', x)", "import re\nimport sys\n\n\n"),
        (
            "import os\nfrom a import b\n\n",
            "deque(x)",
            "import os\nfrom a import b\nfrom collections import deque\n\n",
        ),
        ('"""Doc."""\n\n', "math.pi", '"""Doc."""\n\nimport math\n\n'),
        (
            "#!/usr/bin/env python\n# coding: utf-8\n",
            "math.pi",
            "#!/usr/bin/env python\n# coding: utf-8\n\nimport math\n\n",
        ),
        (
            "from __future__ import annotations\n\n",
            "math.pi",
            "from __future__ import annotations\n\nimport math\n\n",
        ),
        ("import os\r\n\r\n", "math.pi", "import math\r\nimport os\r\n\r\n"),
        ("", "datetime.now()", "from datetime import datetime\n\n"),
        ("", "datetime.timedelta(x)", "import datetime\n\n"),
        ("", "Counter(re.findall('a', x))", "import re\nfrom collections import Counter\n\n"),
    ],
)
def test_the_import_stands_where_imports_stand(head: str, use: str, wanted: str) -> None:
    after = with_imports(head + PLAIN, head + USE.format(use))
    lines = after[: after.index("def f")]
    assert lines.replace("\n\n\n", "\n\n") == wanted.replace("\n\n\n", "\n\n")
    assert gate("a.py", head + PLAIN, after) is None
    assert after.endswith(USE.format(use))


@pytest.mark.parametrize(
    "use",
    [
        "x",  # nothing is missing
        "helper(x)",  # nobody's
        "np.mean(x)",  # not of the standard library
        "re",  # a name alone may be a variable
        "copy + 1",
        "json[0]",
    ],
)
def test_what_could_mean_something_else_is_left_to_the_gate(use: str) -> None:
    assert with_imports(PLAIN, USE.format(use)) == USE.format(use)


def test_what_was_missing_before_or_is_defined_stays() -> None:
    assert with_imports(USE.format("re.sub(x)"), USE.format("re.sub(x, 1)")) == USE.format("re.sub(x, 1)")
    own = "re = make()\n" + USE.format("re.sub(x)")
    assert with_imports("re = make()\n" + PLAIN, own) == own
    star = "from a import *\n" + USE.format("re.sub(x)")
    assert with_imports("from a import *\n" + PLAIN, star) == star


def test_code_that_does_not_parse_is_not_touched() -> None:
    assert with_imports(PLAIN, "def f(x:\n    re.sub()") == "def f(x:\n    re.sub()"


def test_statements_are_in_order_and_each_once() -> None:
    assert statements({"os", "Path", "re"}, "os.x re.y Path()") == [
        "import os",
        "import re",
        "from pathlib import Path",
    ]


def target(root: Path, path: str, text: str, cell: str | None = None) -> Target:
    file = root / path
    sha = digest(file.read_bytes()) if file.exists() else None
    end = text.count("\n") if sha else 0
    return Target(
        id="s1",
        path=path,
        symbol="f",
        kind="function",
        start=min(1, end),
        end=end,
        sha256=sha,
        text=text,
        cell=cell,
    )


def test_a_rewrite_brings_its_import_along(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(PLAIN)
    (change,) = apply([Rewrite(target=target(tmp_path, "a.py", PLAIN), text=USE.format("re.escape(x)"))], tmp_path)
    assert change.after.decode() == "import re\n\n" + USE.format("re.escape(x)")


def test_a_new_file_brings_its_imports_along(tmp_path: Path) -> None:
    (change,) = apply([Rewrite(target=target(tmp_path, "new.py", ""), text=USE.format("deque(x)"))], tmp_path)
    assert change.after.startswith(b"from collections import deque\n\ndef f")
    (change,) = apply([Rewrite(target=target(tmp_path, "new.txt", ""), text="re.escape deque(x)\n")], tmp_path)
    assert change.after == b"re.escape deque(x)\n"


def test_a_cell_brings_its_import_along_unless_another_cell_has_it(tmp_path: Path) -> None:
    for first, wanted in (("x = 1", "import math\n"), ("import math", "")):
        book = new_notebook(cells=[new_code_cell(first, id="one"), new_code_cell("y = 2", id="two")])
        nbformat.write(book, tmp_path / "n.ipynb")
        made = target(tmp_path, "n.ipynb", "y = 2\n", "two")
        (change,) = apply([Rewrite(target=made, text="y = math.pi\n")], tmp_path)
        after = nbformat.reads(change.after.decode(), 4)
        assert after.cells[1].source == f"{wanted}y = math.pi"
        assert after.cells[0].source == first


@pytest.mark.parametrize(
    ("after", "unknown"),
    [
        ("import pandas_of_mine\n", ["pandas_of_mine"]),
        ("    from pandas_of_mine.io import x\n", ["pandas_of_mine"]),
        ("import json, pytest\n", []),
        ("from tariffs import price\nimport parcels.tax\n", []),
        ("from . import elsewhere\n", []),
        ("import old_one\n", []),
        ("import (\n", []),
    ],
)
def test_modules_that_are_nowhere(after: str, unknown: list[str]) -> None:
    paths = ["src/parcels/__init__.py", "lib/tariffs.py"]
    assert unknown_modules("import old_one\n", after, paths) == unknown
