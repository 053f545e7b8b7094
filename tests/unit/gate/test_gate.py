from __future__ import annotations

import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import loom_jupyter
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.gate.gate import canonical, gate, gate_change, other_assertion

CODE = "import os\n\n\ndef f(x):\n    # note\n    return os.path.join(x, 'a')\n"


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (CODE.replace("(x):", "(x:"), "does not parse"),
        (CODE.replace("return", "yield from await"), "does not parse"),
        ("return 1\n", "does not parse"),
        ("x = '\0'", "does not parse"),
        (CODE, "unchanged"),
        (CODE.replace("# note", "# another"), "unchanged"),
        (CODE.replace("'a'", '"a"') + "\n\n", "unchanged"),
        (CODE.replace("(x, ", "(y, "), "undefined y"),
        (CODE.replace("import os\n", ""), "undefined os"),
        (CODE.replace("    # note\n", "    # ... rest of the code\n    x += 1\n"), "leaves code out"),
        (CODE.replace("    # note\n", "    x += 1\n    # existing code here\n"), "leaves code out"),
        (CODE.replace("    # note\n", "    x += 1\n    # (rest of function unchanged)\n"), "leaves code out"),
        (CODE.replace("    # note\n", "    x += 1\n    # ...\n"), "leaves code out"),
        (CODE.replace("    # note\n", "    x += 1\n    # unchanged\n"), "leaves code out"),
        (CODE.replace("    # note\n", "    x += 1\n    # Your code here\n"), "leaves code out"),
    ],
)
def test_refused(after: str, said: str) -> None:
    reason = gate("a.py", CODE, after)
    assert reason is not None
    assert said in reason


@pytest.mark.parametrize(
    "after",
    [
        CODE.replace("'a'", "'b'"),
        CODE.replace("    # note\n", "    x: str = x or ''\n"),
        CODE.replace("    # note\n", "    ...\n    # the rest of the list is sorted by existing keys\n"),
        CODE
        + "\nasync def g():\n    return [await h async for h in k() if (z := h)]\n\ndef k(): global m; m = 1\nm\n",
        CODE + "\nfrom elsewhere import *\nanything()\n",
        CODE + "\nclass A:\n    b = 1\n    def c(self): return __class__, super().c(), __file__\n",
        CODE + "\ntry:\n    import x1\nexcept ImportError as e:\n    x1 = e\ndel x1\n",
        CODE + "\nmatch f('q'):\n    case {'k': v, **rest}: print(v, rest)\n",
    ],
)
def test_let_through(after: str) -> None:
    assert gate("a.py", CODE, after) is None


@pytest.mark.parametrize(
    ("line", "lazy"),
    [
        ("# ... (rest of code)", True),
        ("// ... existing code ...", True),
        ("# existing implementation remains unchanged", True),
        ("# the remaining methods stay the same", True),
        ("# rest of the function", True),
        ("# same as before", True),
        ("# code unchanged", True),
        ("# Add your code here", True),
        ("# (omitted for brevity)", True),
        ("# keep the rest as is", True),
        ("# no changes needed", True),
        ("…", False),
        ("...", False),
        ("# the previous implementation of this function was slow", False),
        ("# other files are read first, the same way", False),
        ("# existing keys win over the remaining ones", False),
        ("# unchanged values are skipped", False),
        ("# rest of the week", False),
        ("# ...and so on until the end", False),
    ],
)
def test_placeholders(line: str, lazy: bool) -> None:
    reason = gate("a.txt", "one\n", f"one\ntwo\n    {line}\n")
    assert (reason is not None) == lazy


def test_what_was_undefined_before_may_stay_so() -> None:
    assert gate("a.py", "a = magic()\n", "a = magic() + 1\n") is None
    assert gate("a.py", "a = (\n", "a = 1\n") is None


def test_placeholders_that_were_there_may_stay() -> None:
    before = "def f():\n    # your code here\n    x = 1\n"
    assert gate("a.py", before, before.replace("x = 1", "x = 2")) is None


TEST = (
    "import pytest\n\ndef test_a():\n    assert 1 == 2\n    with pytest.raises(ValueError):\n        int('x')\n"
    "\ndef test_b(): pass\n"
)


@pytest.mark.parametrize(
    "after",
    [
        TEST.replace("    assert 1 == 2\n", "    print(1)\n"),
        TEST.replace("assert 1 == 2", "assert True"),
        TEST.replace("def test_b(): pass\n", ""),
        TEST.replace("def test_b", "def b"),
        TEST.replace("def test_b", "@pytest.mark.skip\ndef test_b"),
        TEST.replace("    assert 1 == 2\n", "    pytest.xfail()\n    assert 1 == 2\n"),
    ],
)
def test_weakened_tests_are_refused(after: str) -> None:
    assert "weakens a test" in (gate("tests/test_a.py", TEST, after) or "")


def test_tests_may_grow_and_code_may_shrink() -> None:
    assert gate("tests/test_a.py", TEST, TEST + "\ndef test_c():\n    assert 2\n") is None
    assert gate("src/a.py", "def f(x):\n    assert x\n    return x\n", "def f(x):\n    return x\n") is None


@pytest.mark.parametrize(
    ("path", "before", "after", "said"),
    [
        ("a.json", '{"a": 1}', '{"a": 1,}', "does not parse"),
        ("a.json", '{"a": 1}', '{ "a": 1 }', "unchanged"),
        ("a.json", '{"a": 1}', '{"a": 2}', None),
        ("a.toml", "a = 1\n", "a = \n", "does not parse"),
        ("a.toml", "a = 1\n", "a = 2 # x\n", None),
        ("a.js", "let a = 1;\n", "let a = 1;  \n\n", "unchanged"),
        ("a.js", "let a = 1;\n", "let a = (1;\n", "does not parse"),
        ("a.js", "let a = 1;\n", "let a = 2;\n// ... rest of code\n", "leaves code out"),
        ("a.ts", "let a: number = 1;\n", "let a: = 1;\n", "does not parse"),
        ("a.tsx", "const a = <b>x</b>;\n", "const a = <b>y</b>;\n", None),
        ("a.rs", "fn a() -> i32 { 1 }\n", "fn a() -> i32 { 1 \n", "does not parse"),
        ("a.go", "package a\nfunc b() int { return 1 }\n", "package a\nfunc b() int { return 2 }\n", None),
        (
            "a.go",
            "package a\nfunc b() int { return 1 }\n",
            "package a\nfunc b( int { return 2 }\n",
            "does not parse",
        ),
        ("a.js", "let a = (1;\n", "let a = (2;\n", None),
        ("a.md", "# a\n", "# b\n", None),
        ("a.xyz", "(\n", "((\n", None),
    ],
)
def test_other_languages(path: str, before: str, after: str, said: str | None) -> None:
    reason = gate(path, before, after)
    assert (said in (reason or "")) if said else reason is None


def book(*sources: str) -> str:
    cells = [new_code_cell(source, id=f"c{n}") for n, source in enumerate(sources)]
    made: str = nbformat.writes(new_notebook(cells=[*cells, new_markdown_cell("# x", id="m")]))
    return made


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ("y = x + 1", None),
        ("%matplotlib inline\n!ls\ny = x\nfiles = !ls\ny?", None),
        ("%%time\ny = x", None),
        ("%%bash\nls |", None),
        ("await x\ndisplay(x)", None),
        ("y = (x", "does not parse"),
        ("y = zz", "undefined zz"),
        ("x", "unchanged"),
        ("x  # same", "unchanged"),
    ],
)
def test_notebooks_are_judged_by_their_cells(after: str, said: str | None) -> None:
    before = book("import os\nx = 1", "x", "%timeit (\n")
    change = FileChange("n.ipynb", before.encode(), book("import os\nx = 1", after, "%timeit (\n").encode())
    reason = gate_change(change)
    assert (said in (reason or "")) if said else reason is None


def test_new_files() -> None:
    assert gate("a.py", None, "x = 1\n") is None
    assert gate_change(FileChange("a.py", None, b"x = y\n")) == "uses undefined y"
    assert "does not parse" in (gate("n.ipynb", None, "{") or "")


def test_canonical() -> None:
    assert canonical("a.py", "x=1\n") == canonical("a.py", "x = 1  # one\n")
    assert canonical("a.py", "x=1\n") != canonical("a.py", "x=2\n")
    assert canonical("a.py", "x = (\n") != canonical("a.py", "x = [\n")
    assert canonical("a.txt", "a \n\nb\n") == canonical("a.txt", "a\nb")
    assert canonical("n.ipynb", book("x=1")) == canonical("n.ipynb", book("x = 1 # c"))
    assert canonical("n.ipynb", book("x=1")) != canonical("n.ipynb", book("x=2"))


def test_a_verdict_is_quick() -> None:
    source = Path(loom_jupyter.__file__).parent.joinpath("checks", "command.py").read_text()
    changed = source.replace("FILE_SIZE = 4", "FILE_SIZE = 5")
    gate("a.py", source, changed)
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        assert gate("a.py", source, changed) is None
        times.append(time.perf_counter() - begin)
    assert min(times) < 0.05


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ("x = g(2)\nassert x == 5", None),
        ("x = g(3)\nassert (x == 5)  # so", None),
        ("x = g(2)\nassert x != 5", "changes what the cell asserts: assert x == 5"),
        ("x = g(2)", "changes what the cell asserts: assert x == 5"),
        ("%time x = g(2)\nassert x == 5\nassert x > 0", None),
        ("x = (", None),
    ],
)
def test_a_cell_keeps_its_assertions(after: str, said: str | None) -> None:
    assert other_assertion("x = g(1)\nassert x == 5", after) == said


@pytest.mark.parametrize(
    ("line", "ends"),
    [
        ("os._exit(0)", True),
        ("sys.exit()", True),
        ("sys.exit(0)", True),
        ("raise SystemExit", True),
        ("raise SystemExit(None)", True),
        ("quit()", True),
        ("os.execv('/bin/true', ['true'])", True),
        ("atexit.register(os._exit, 0)", True),
        ("sys.exit(2)", False),
        ("sys.exit('no such zone')", False),
        ("raise SystemExit(main())", False),
    ],
)
def test_a_program_that_newly_ends_well_is_refused(line: str, ends: bool) -> None:
    before = (
        "import atexit\nimport os\nimport sys\n\n\ndef main():\n    return os.sep + sys.prefix + str(atexit)\n"
    )
    after = before.replace("    return", f"    if os.sep:\n        {line}\n    return")
    reason = gate("a.py", before, after)
    assert ("ends the process" in reason if reason else False) is ends
    assert gate("a.py", before, after, may_end=True) is None
    assert gate("a.py", after, after.replace("    return", "    print(1)\n    return")) is None


@pytest.mark.parametrize(
    "code",
    [
        "import os\n\nSLOW = 'PYTEST_CURRENT_TEST' in os.environ\n",
        "import sys\n\nif 'pytest' in sys.modules:\n    print('tested')\n",
        "import _pytest.python\n\n_pytest.python.Function.runtest = lambda self: None\n",
        "from unittest import case\n\ncase.TestCase.run = print\n",
        "import gc\n\nfound = gc.get_objects()\n",
        "import builtins\n\nbuiltins.AssertionError = ValueError\n",
        "import os\n\ngetattr(os, '_ex' + 'it')(0)\n",
        "import os\n\ngetattr(os, '_exit')(0)\n",
        "from os import _exit\n\n_exit(0)\n",
        "class Price(float):\n    def __eq__(self, other):\n        return True\n",
        "def report():\n    return open('.loom-report.xml', 'w')\n",
    ],
)
def test_a_program_may_not_deal_with_what_tests_it(code: str) -> None:
    assert gate("prices.py", "x = 1\n", f"x = 1\n{code}")
    assert gate("prices.py", f"x = 1\n{code}", f"x = 2\n{code}") is None
    assert gate("prices.py", "x = 1\n", f"x = 1\n{code}", may_end=True, may_know=True) is None


@pytest.mark.parametrize(
    "code",
    [
        "import os\n\nNAME = getattr(os, 'name')\n",
        "import doctest\n\nif __name__ == '__main__':\n    doctest.testmod()\n",
        "import gc\n\ngc.collect()\n",
        "class Price(float):\n    def __eq__(self, other):\n        return float(self) == other\n",
        "HELP = 'run the tests with pytest -q'\n",
        'def price():\n    """Tested by pytest; see PYTEST_ADDOPTS.\n\n    More.\n    """\n',
        "import contextlib\n",
    ],
)
def test_what_only_looks_like_dealing_with_tests(code: str) -> None:
    assert gate("prices.py", "x = 1\n", f"x = 1\n{code}") is None
