"""The fair reference: the same model as one agent with tools, ``python -m tests.benchmarks.single_agent``.

It gets the same copies, reports and checks as Loom does in ``tests.benchmarks.edits.run``, replies under a grammar
that makes every action well-formed, sees what the check says at first and after every change, and has ten steps.
The lines that it writes are of the same form, so that both can be compared.
"""

from __future__ import annotations

import difflib
import functools
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from loom_jupyter.checks.command import CheckResult
from loom_jupyter.models import host
from loom_jupyter.models.protocol import Message, Model, ModelError
from loom_jupyter.pipeline.reply import ReplyError, parse_reply
from tests.benchmarks.agent_tools import SCHEMA, Action, Tools
from tests.benchmarks.edits import packages
from tests.benchmarks.edits.outcome import Outcome, arguments, results, run_all, table
from tests.benchmarks.edits.packages import CACHE, Fault
from tests.benchmarks.edits.run import select

STEPS = 10
REPLY_TOKENS = 900
OUTPUT = 1500
"""Characters of the check's output that are shown."""
SYSTEM = """You are a careful programmer who repairs a Python project with tools. In each step you answer with \
one JSON object: a short thought, a tool and its arguments. The tools:
- list: the project's Python files
- grep, text: the lines of all files that match a word or regular expression
- read, path, line: 80 lines of a file from that line on
- replace, path, old, new: exchange a piece of text that stands once in the file, copied exactly, without the \
line numbers
- rewrite, path, function, code: exchange a whole function, given by its name, for new code
After each change the check runs and you are told what came of it. First find the function that is wrong with \
grep, then read it, then change as little as possible, usually one line. Do not repeat a step. Tests may not be \
changed. You have 10 steps."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = arguments("agent", __doc__.splitlines()[0])
    parser.set_defaults(budget=600.0)
    options = parser.parse_args(argv)
    faults = select(packages.load(), options.only)
    one = functools.partial(run_named, model=options.model, budget=options.budget)
    names = [fault.name for fault in faults]
    outcomes = run_all(names, one, out=results(options), resume=options.resume, jobs=options.jobs)
    print(f"\none agent, {STEPS} steps, {options.model or 'default model'}\n{table(outcomes)}")
    return 0


def run_named(name: str, *, model: str | None, budget: float) -> Outcome:
    """Run the task of this name."""
    fault = next(f for f in packages.load() if f.name == name)
    return run_fault(fault, model=model, budget=budget)


def run_fault(fault: Fault, *, model: str | None, budget: float, cache: Path = CACHE) -> Outcome:
    """Let the agent mend one fault, and judge what it leaves."""
    outcome = Outcome(task=fault.name, group=fault.package.name, harness="agent", model=str(model), budget=budget)
    with tempfile.TemporaryDirectory() as temp:
        root = packages.faulty_copy(fault, Path(temp) / fault.package.name, cache)
        before = {p.relative_to(root).as_posix(): p.read_text("utf-8") for p in sorted(root.rglob("*.py"))}
        log = Path(temp) / "model.log"
        with host.acquire(model, lambda *_: None, threading.Event(), log) as loaded:
            Session(loaded, root, fault, outcome).work()
        changed = [path for path, text in before.items() if (root / path).read_text("utf-8") != text]
        outcome.diff = "".join(_diff(path, before[path], (root / path).read_text("utf-8")) for path in changed)
        if outcome.claimed:
            fresh = packages.faulty_copy(fault, Path(temp) / "verify" / fault.package.name, cache)
            for path in changed:
                shutil.copyfile(root / path, fresh / path)
            outcome.broke = packages.broken(fault.package, fresh)
            outcome.solved = not outcome.broke
    return outcome


class Session:
    """One task's conversation."""

    def __init__(self, model: Model, root: Path, fault: Fault, outcome: Outcome) -> None:
        self.model, self.fault, self.outcome = model, fault, outcome
        self.tools = Tools(root)
        self.messages: list[Message] = []
        self.done: set[str] = set()

    def work(self) -> None:
        """Take up to `STEPS` steps, until the check passes or the time is up."""
        begin = time.monotonic()
        check = self._check()
        self.messages = [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": f"The report:\n{self.fault.report}\n\n{self._failure(check)}"},
        ]
        repeated = False
        for _ in range(STEPS):
            action = self._next(repeated)
            if action is not None:
                repeated = self._step(action)
            self.outcome.seconds = time.monotonic() - begin
            if self.outcome.claimed or self.outcome.seconds > self.outcome.budget:
                break
        self.outcome.state = "solved" if self.outcome.claimed else "gave up"
        self.outcome.lost_to_form = not self.tools.writes and self.outcome.unusable == STEPS

    def _next(self, repeated: bool) -> Action | None:
        """Ask for the next step; a step that was said before is asked for anew with some chance in it."""
        self._make_room()
        began = time.monotonic()
        reply = self.model.chat(
            self.messages, max_tokens=REPLY_TOKENS, schema=SCHEMA, temperature=0.7 if repeated else 0.0
        )
        self.outcome.model_seconds += time.monotonic() - began
        usage = reply.usage
        self.outcome.tokens += usage.prompt_tokens - usage.reused_tokens + usage.completion_tokens
        self.messages.append({"role": "assistant", "content": reply.text})
        try:
            return parse_reply(reply.text, Action)
        except ReplyError as error:
            self.outcome.unusable += 1
            self._tell(f"That answer cannot be used: {error}. Answer with one JSON object.")
            return None

    def _step(self, action: Action) -> bool:
        """Do one step and tell what came of it; True if it was a repetition."""
        key = action.model_copy(update={"thought": ""}).model_dump_json()
        if key in self.done:
            self._tell("You did exactly that before. Do something else: read another place or make a change.")
            return True
        self.done.add(key)
        writes = self.tools.writes
        answer = self.tools.act(action)
        if self.tools.writes > writes:
            self.outcome.candidates += 1
            check = self._check()
            if check.passed:
                self.outcome.claimed, self.outcome.winner = True, self.outcome.candidates
                self.outcome.winner_kind = action.tool
                return False
            self.outcome.claimed = False
            answer = f"{answer}\n\n{self._failure(check)}"
        self._tell(answer)
        return False

    def _check(self) -> CheckResult:
        result = packages.run_tests(self.fault.check, self.tools.root)
        self.outcome.check_seconds += result.seconds
        self.outcome.reason = result.summary
        return result

    def _failure(self, check: CheckResult) -> str:
        return f"The check `{self.fault.check}` says ({check.summary}):\n{check.output[-OUTPUT:]}"

    def _tell(self, text: str) -> None:
        self.messages.append({"role": "user", "content": text})

    def _make_room(self) -> None:
        """Forget the oldest steps when the window is nearly full; the report stays."""
        most = self.model.info.n_ctx - REPLY_TOKENS - 200
        while len(self.messages) > 4 and self.model.count("\n".join(m["content"] for m in self.messages)) > most:
            del self.messages[2:4]


def _diff(path: str, old: str, new: str) -> str:
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), f"a/{path}", f"b/{path}"
    )
    return "".join(lines)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ModelError, packages.SuiteError) as error:
        sys.exit(str(error))
