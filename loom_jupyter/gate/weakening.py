"""Whether a change makes tests assert less, in any language: refused whoever asked for what."""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

from loom_jupyter.edits import syntax
from loom_jupyter.gate import python_tests


class _Signs(NamedTuple):
    """How a language writes a test (its name is the group), an assertion, and what keeps a test from running."""

    tests: str
    asserts: str
    skips: str


_JS = _Signs(
    r"""\b(?:it|test|specify|describe|suite|context)(?:\.each\b.*?\)|\.\w+)*\s*\(\s*(["'`].*?["'`])""",
    r"\bexpect\w*\s*\(|\bassert\b[\w.]*\s*\(|\.should\b"
    r"|\bt\.(?:is|deepEqual|equal|strictEqual|ok|true|false|throws\w*|not|fail)\s*\(",
    r"\.(?:skip|todo|only|failing|fixme|skipIf|runIf)\b|\b(?:xit|xtest|xdescribe|fit|fdescribe)\s*\(|process\.exit\b",
)
_JVM = _Signs(
    r"@(?:Test|ParameterizedTest|RepeatedTest|Property|TestFactory)\b[^{;]*?\b(\w+)\s*\(",
    r"\b(?:assert\w*|verify\w*|expect\w*|fail|should\w*)\s*[({]|\bshould\w*\b|@(?:ValueSource|CsvSource|MethodSource)",
    r"@(?:Disabled\w*|Ignore\w*|EnabledIf\w*)\b|\bassum\w+\s*\(",
)
_C = _Signs(
    r"\b(?:TEST(?:_F|_P)?|TYPED_TEST|TEST_CASE|SCENARIO|BOOST_AUTO_TEST_CASE|START_TEST)\s*\(([^)]*)\)",
    r"\b(?:EXPECT|ASSERT|CHECK|REQUIRE|BOOST|TEST_ASSERT)_?\w*\s*\(|\b(?:assert\w*|cr_assert\w*|ck_assert\w*)\s*\(",
    r"GTEST_SKIP|\bDISABLED_|\[!(?:mayfail|shouldfail|hide)\]|\[\.\]|\bNDEBUG\b",
)
_SHELL = _Signs(
    r"@test\s+([\"'].*?[\"'])|^\s*(?:function\s+)?(test_\w+)\s*\(\)",
    r"^\s*(?!echo\b|#|then\b|fi\b|do\b|done\b|else\b)\S+",
    r"\bexit 0\b|\|\|\s*(?:true|:)|set \+e|\bskip\b|--(?:deselect|ignore)\b",
)
_LANGUAGES: dict[str, _Signs] = {
    "js jsx mjs cjs ts tsx mts cts vue svelte": _JS,
    "go": _Signs(
        r"^func ((?:Test|Benchmark|Fuzz|Example)\w*)\(",
        r"\b[tbf]\.(?:Error|Errorf|Fatal|Fatalf|Fail|FailNow)\b|\b(?:assert|require)\.\w+\(|^\s*// Output:",
        r"\b[tbf]\.Skip\w*\(|//go:build|testing\.Short\(\)|os\.Exit\(0\)",
    ),
    "rs": _Signs(
        r"#\[(?:\w+::)*(?:test|rstest|test_case)\b[^\]]*\](?:\s*#\[[^\]]*\])*\s*(?:pub\s+)?(?:async\s+)?fn (\w+)",
        r"\b(?:debug_)?assert\w*!|#\[should_panic|\bpanic!|\.unwrap_err\(|#\[case",
        r"#\[ignore|#\[cfg\(any\(\)\)|cfg_attr\([^)]*ignore|process::exit\(0\)",
    ),
    "java kt kts groovy scala": _JVM,
    "cs fs vb": _Signs(
        r"\[(?:\w+,\s*)*(?:Fact|Theory|Test|TestMethod|TestCase)\b[^\]]*\][^{;]*?\b(\w+)\s*\(",
        r"\bAssert\.\w+|\.Should\w*\(|\bExpect\w*\(|\[(?:InlineData|DataRow|TestCase)\b",
        r"\bSkip\s*=|\[Ignore|Assert\.(?:Ignore|Inconclusive|Pass)\b|\[Explicit",
    ),
    "rb": _Signs(
        r"\b(?:it|specify|scenario|example|test)\s*\(?\s*([\"'].*?[\"'])|\bdef (test_\w+)",
        r"\bexpect\b|\bassert\w*|\brefute\w*|\.should\b|\b(?:must|wont)_\w+",
        r"\b(?:xit|xspecify|xdescribe|xcontext|pending|skip|fit|fdescribe)\b|:focus|\bexit!?\b",
    ),
    "php": _Signs(
        r"function (test\w*)|\b(?:it|test)\s*\(\s*([\"'].*?[\"'])",
        r"\bassert\w*\s*\(|\bexpect\w*\s*\(",
        r"markTest(?:Skipped|Incomplete)|->(?:skip|todo|only)\(|\bexit\(0\)",
    ),
    "c cc cpp cxx h hpp m mm": _C,
    "r": _Signs(
        r"\btest_that\(\s*([\"'].*?[\"'])",
        r"\bexpect_\w+\s*\(|\bstopifnot\s*\(",
        r"\bskip\w*\s*\(|\bquit\s*\(|\bq\s*\(",
    ),
    "jl": _Signs(r"@testset\s+([\"'].*?[\"'])", r"@test(?:_\w+)?\b", r"@test_(?:skip|broken)\b|\bexit\("),
    "swift": _Signs(
        r"\bfunc (test\w*)|@Test\b.*?func (\w+)",
        r"\bXCT(?:Assert\w*|Fail|Unwrap)|#(?:expect|require)\b",
        r"XCTSkip|\.disabled\(",
    ),
    "ex exs": _Signs(r"\btest ([\"'].*?[\"'])", r"\b(?:assert|refute)\w*", r":skip\b|exclude:"),
    "lua dart": _Signs(
        r"\b(?:it|test)\s*\(\s*([\"'].*?[\"'])", r"\b(?:assert|expect)\b[\w.]*\s*\(", r"\bskip\b|\bpending\b"
    ),
    "t pl pm": _Signs(
        r"\bsubtest\s+([\"'].*?[\"'])",
        r"^\s*(?:ok|is|isnt|like|unlike|is_deeply|cmp_ok|can_ok|isa_ok|throws_ok|dies_ok|pass)\b",
        r"\bskip\w*\b|\btodo\w*\b|\bexit\b|\bdone_testing\b",
    ),
    "feature": _Signs(
        r"^\s*(?:Scenario(?: Outline| Template)?|Example):(.*)$",
        r"^\s*(?:Then|And|But|\*)\b|^\s*\|",
        r"@(?:skip|wip|ignore|disabled|manual)\w*",
    ),
    "robot": _Signs(r"^(\S.*)$", r"\bShould\b", r"\bSkip\b|robot:(?:skip|exclude)|Pass Execution"),
    "sh bash zsh bats": _SHELL,
    "snap ambr": _Signs(r"^exports\[(`.*?`)\]|^# name: (.*)$", r"^.+$", r"(?!)"),
}
_BY_SUFFIX = {suffix: signs for suffixes, signs in _LANGUAGES.items() for suffix in suffixes.split()}
_ANY = _Signs(
    r"(?!)(x)",
    r"\b(?:assert|expect|should|verify|ensure|must)\w*",
    r"\b(?:skip|ignore|disable|xfail|pending|todo)\w*",
)
# Assertions that hold whatever the program does.
_TRIVIAL = re.compile(
    r"""\bexpect\w*\s*\(\s*(?:true|!0|!1|\d+|["'`][^"'`]*["'`]|null|undefined)\s*\)"""
    r"""|\b(?:debug_)?assert\w*(?:\.\w+)?!?\s*\(\s*(?:true|!0|1|1 == 1)\s*[),]"""
    r"""|\b(?:EXPECT|ASSERT)_TRUE\s*\(\s*true\s*\)""",
    re.I,
)
_COMMENT = re.compile(r"/\*.*?\*/|(?<![:\w\"'`])//(?!go:build| Output:)[^\n]*", re.S)
_HASH_COMMENT = re.compile(r"^\s*#(?!\[)[^\n]*|(?<=\s)#(?!\[)\s[^\n]*", re.M)
_HASHED = frozenset(
    {"rb", "r", "jl", "ex", "exs", "sh", "bash", "zsh", "bats", "feature", "robot", "t", "pl", "pm"}
)


# Options that leave tests out, or let them fail; keys that say which files and functions are tests.
_LOOSER = re.compile(
    r"(?<![\w-])(?:-k|-m|--deselect|--ignore(?:-glob)?|--co(?:llect-only)?|--no-?conftest|-p\s*no:|--lf|--ff|--sw"
    r"|--pass-?with-?no-?tests|--suppress-no-test-exit-code|--continue-on-collection-errors|--runxfail|--testpathpattern\w*"
    r"|--skip\w*|--exclude\w*)(?![\w-])"
    r"|\b(?:collect_ignore\w*|norecursedirs|testpathignorepatterns|modulepathignorepatterns|passwithnotests)\b"
    r"|\b(?:testpaths|python_files|python_classes|python_functions|testmatch|testregex|roots|bail)\b\s*[\"']?\s*[:=]"
    r"|\bxfail_strict\s*=\s*[\"']?(?:false|0|no)|\|\|\s*(?:true|:)\s*(?:$|[\"'])|\bexit 0\b|^\t-\S"
    r"|ignore_errors\s*=\s*true"
    r"|ignore_outcome\s*=\s*true",
    re.I,
)
_STRICTER = re.compile(
    r"xfail_strict|--strict|fail_under|--cov-fail-under|coverageThreshold|filterwarnings|-W\s*error|forbidOnly|failOnRisky"
    r"|failOnWarning|testpaths|python_files|addopts",
    re.I,
)
_SETTINGS = frozenset(
    {"ini", "toml", "cfg", "json", "yml", "yaml", "xml", "dist", "coveragerc", "rspec", "runsettings"}
)


def looser(before: str, after: str) -> str | None:
    """Say which line of a settings file leaves tests out, or asks less of them, than before; None if none does."""
    old, new = ([line.strip("\r ") for line in text.split("\n")] for text in (before, after))
    left_out = next((line for line in new if line not in old and _LOOSER.search(line)), None)
    if left_out is not None and Counter(_LOOSER.findall(left_out)) - Counter(_LOOSER.findall(before)):
        return f"the settings leave tests out: {left_out.strip()[:60]}"
    keys = {key.lower() for line in old for key in _STRICTER.findall(line)}
    if dropped := sorted(keys - {key.lower() for line in new for key in _STRICTER.findall(line)}):
        return f"the settings no longer hold {dropped[0]}"
    narrowed = next((line for line in new if line not in old and _WHICH.match(line)), None)
    return (
        f"the settings choose other tests: {narrowed.strip()[:60]}" if narrowed and _WHICH.search(before) else None
    )


_WHICH = re.compile(
    r"^\s*[\"']?(?:testpaths|python_files|python_classes|python_functions|testMatch|testRegex|roots|norecursedirs)\b",
    re.M,
)


def weakened(path: str, before: str, after: str) -> str | None:
    """Say in one line that a test asserts less than before, is gone, renamed or skipped.

    Parameters
    ----------
    path
        Of a file that judges; decides the language.
    before, after
        Its whole text.
    """
    suffix = path.rpartition(".")[2].lower()
    if suffix in _SETTINGS and (less := looser(before, after)):
        why: str | None = less
    elif path.endswith((*syntax.PYTHON, ".ipynb")):
        why = _python(path, before, after)
    else:
        why = _counted(path, before, after)
    return f"weakens a test: {why}" if why else None


def _python(path: str, before: str, after: str) -> str | None:
    if path.endswith(".ipynb"):
        before, after = syntax.code(path, before), syntax.code(path, after)
    try:
        old = syntax.parsed(before)
    except (SyntaxError, ValueError):
        return None  # It could not run before; nothing can be weakened.
    try:
        new = syntax.parsed(after)
    except (SyntaxError, ValueError):
        return "it no longer parses"
    return python_tests.weaker(old, new)


def _counted(path: str, before: str, after: str) -> str | None:
    suffix = path.rpartition(".")[2].lower()
    signs = _BY_SUFFIX.get(suffix, _ANY)
    old, new = _bare(suffix, before), _bare(suffix, after)
    if gone := sorted((_names(signs, old) - _names(signs, new)).elements()):
        return f"{gone[0][:60]} is gone or renamed"
    if _count(signs.skips, new) > _count(signs.skips, old):
        return "skips tests that ran before"
    was, now = (_count(signs.asserts, text) - len(_TRIVIAL.findall(text)) for text in (old, new))
    return f"{was - now} assertion{'s' * (was - now != 1)} fewer" if now < was else None


def _bare(suffix: str, text: str) -> str:
    """Return a text without comments: what is commented out asserts nothing."""
    if suffix in ("snap", "ambr"):
        return text
    return _HASH_COMMENT.sub("", text) if suffix in _HASHED else _COMMENT.sub("", text)


def _names(signs: _Signs, text: str) -> Counter[str]:
    found = re.finditer(signs.tests, text, re.M)
    return Counter(" ".join(filter(None, match.groups())).strip() for match in found)


def _count(pattern: str, text: str) -> int:
    return sum(1 for _ in re.finditer(pattern, text, re.M))
