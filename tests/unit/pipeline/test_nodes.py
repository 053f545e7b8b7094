"""Architect, Explorer, Coder and their order, with a model that says what the test wrote down."""

from __future__ import annotations

import inspect
import json
import threading
from typing import Any

import pytest

from loom_jupyter.errors import Cancelled
from loom_jupyter.models.protocol import Alternative, Branch, ModelDiedError, ModelError, Reply, TokenScore, Usage
from loom_jupyter.pipeline import architect, workflow
from loom_jupyter.pipeline.contracts import Intent, Node, Trial
from loom_jupyter.pipeline.interfaces import Talk

PLAN = json.dumps({"intent": "change", "goal": "2 kg is small", "acceptance": [], "terms": ["tariff"]})
CHOICE = json.dumps({"targets": ["s2"]})
NONSENSE = ["", "certainly!", '{"intent": "destroy"}']


def run(model: Any, environment: Any, heard: Any, **options: Any) -> Any:
    return workflow.run("2.0 kg costs too much", model, environment, heard, budget=60, **options)


def doubting(scripted: Any, unit: str, *replies: Any) -> Any:
    """A model that would rather copy, and doubts the comparison."""
    start = unit.index("<")
    other = Alternative(7, "<=", -2.0)
    score = TokenScore(0, start, "<", -0.1, (other,))
    return scripted([PLAN, CHOICE, *replies], scores=[score], lines={Branch(0, 7): "<= 2:"})


def test_the_order_is_fixed_and_the_check_decides(scripted: Any, environment: Any, heard: Any, unit: str) -> None:
    proposal = run(doubting(scripted, unit), environment(), heard)
    assert proposal.passed
    assert [r.target.path for r in proposal.rewrites] == ["f2.py"]
    assert proposal.rewrites[0].text == unit.replace("< 2", "<= 2")
    assert [node for _, node in heard.all("started")] == [Node.ARCHITECT, Node.EXPLORER, Node.CODER]
    assert heard.all("candidate") == [("candidate", 1, 450, "replaced line", "passed")]


def test_the_architect_cannot_reach_a_file() -> None:
    assert list(inspect.signature(architect.plan).parameters) == ["talk"]
    assert {f for f in Talk.__dataclass_fields__} == {"model", "node", "request", "observer", "cancel"}


def test_the_request_comes_first_in_every_prompt(scripted: Any, environment: Any, heard: Any, unit: str) -> None:
    model = doubting(scripted, unit)
    run(model, environment(), heard)
    openings = {prompt[1]["content"].split("\n\n")[0] for prompt in model.prompts}
    assert openings == {"Request:\n2.0 kg costs too much"}


def dies(_: Any) -> str:
    raise ModelDiedError("The model's process was ended by SIGKILL.")


@pytest.mark.parametrize("node", [Node.ARCHITECT, Node.EXPLORER])
def test_a_model_that_dies_once_gets_the_node_again(
    scripted: Any, environment: Any, heard: Any, unit: str, node: Node
) -> None:
    model = doubting(scripted, unit)
    model.replies.insert(0 if node is Node.ARCHITECT else 1, dies)
    proposal = run(model, environment(), heard)
    assert proposal.passed
    assert [told for _, told in heard.all("started")].count(node) == 2
    assert [n for _, n, note in heard.all("repaired") if "SIGKILL" in note] == [node]


def test_a_model_that_dies_under_the_search_is_searched_again(
    scripted: Any, environment: Any, heard: Any, unit: str
) -> None:
    model = doubting(scripted, unit)
    score, deaths = model.score, [dies]

    def mortal(*args: Any, **options: Any) -> Any:
        return deaths.pop()(None) if deaths else score(*args, **options)

    model.score = mortal
    assert run(model, environment(), heard).passed
    assert [node for _, node in heard.all("started")][-2:] == [Node.CODER, Node.CODER]


def test_a_model_that_dies_twice_is_given_up(scripted: Any, environment: Any, heard: Any) -> None:
    with pytest.raises(ModelError, match=r"died twice .* architect and then under the explorer") as caught:
        run(scripted([dies, PLAN, dies, CHOICE]), environment(), heard)
    assert not isinstance(caught.value, ModelDiedError)


def test_nonsense_three_times_never_ends_a_run(scripted: Any, environment: Any, heard: Any, unit: str) -> None:
    model = scripted([*NONSENSE, *NONSENSE], *_doubts(unit))
    proposal = run(model, environment(), heard)
    assert proposal.passed
    assert proposal.rewrites[0].target.path == "f1.py"  # the ranking's first
    assert len(heard.all("repaired")) == 8


def _doubts(unit: str) -> tuple[Any, Any]:
    return [TokenScore(0, unit.index("<"), "<", -0.1, (Alternative(7, "<=", -2.0),))], {Branch(0, 7): "<= 2:"}


def test_a_retry_carries_the_error_back(scripted: Any, environment: Any, heard: Any, unit: str) -> None:
    model = scripted(['{"intent": "destroy", "goal": "x"}', PLAN, CHOICE], *_doubts(unit))
    run(model, environment(), heard)
    assert "intent" in model.prompts[1][-1]["content"]


def test_an_id_that_was_not_offered_is_not_taken(scripted: Any, environment: Any, heard: Any, unit: str) -> None:
    model = scripted([PLAN, '{"targets": ["s9", "../etc/passwd"]}'], *_doubts(unit))
    assert run(model, environment(), heard).rewrites[0].target.path == "f1.py"


def test_the_grammar_offers_only_the_ids(scripted: Any, environment: Any, heard: Any, unit: str) -> None:
    model = doubting(scripted, unit)
    run(model, environment(), heard)
    assert model.options[1]["schema"]["properties"]["targets"]["items"] == {"enum": ["s1", "s2", "s3"]}


def test_nothing_to_offer_is_said(scripted: Any, environment: Any, heard: Any) -> None:
    proposal = run(scripted([PLAN]), environment(offers=0), heard)
    assert not proposal.rewrites
    assert "--tag" in proposal.summary


def test_the_best_failure_is_proposed_when_nothing_passes(
    scripted: Any, environment: Any, heard: Any, unit: str
) -> None:
    def judge(text: str) -> Trial:
        return Trial(passed=False, reason="1 failed", score=5.0 if "<= 2" in text else 1.0)

    proposal = run(doubting(scripted, unit), environment(judge), heard)
    assert proposal.passed is False
    assert "<= 2" in proposal.rewrites[0].text


def test_a_repair_round_sees_the_check_and_may_succeed(
    scripted: Any, environment: Any, heard: Any, unit: str
) -> None:
    mended = unit.replace("return 1", "return 4")

    def judge(text: str) -> Trial:
        return Trial(passed="return 4" in text, reason="1 failed", output="assert 1 == 4")

    model = doubting(scripted, unit, f"{mended}\n```")
    proposal = run(model, environment(judge), heard)
    assert proposal.passed
    assert "assert 1 == 4" in model.prompts[-1][-1]["content"]
    assert heard.all("candidate")[-1][3] == "repair"


def test_what_a_rewrite_changed_for_nothing_is_left_as_it_was(
    scripted: Any, environment: Any, heard: Any, unit: str
) -> None:
    def judge(text: str) -> Trial:
        return Trial(passed="return 4" in text, reason="1 failed")

    rewritten = fussy(unit).replace("return 1", "return 4")
    proposal = run(doubting(scripted, unit, f"{rewritten}\n```"), environment(judge), heard)
    assert proposal.passed
    assert proposal.rewrites[0].text == unit.replace("return 1", "return 4")
    assert [c[3:] for c in heard.all("candidate")][-2:] == [("smaller", "failed"), ("smaller", "passed")]


def fussy(unit: str) -> str:
    """The unit with a first line that is written in another way."""
    return unit.replace("(w)", "(w, *_)")


STUB = "def price(w):\n    pass\n"


def stub_environment(environment: Any, judge: Any) -> Any:
    """A environment whose one unit is yet to be written."""

    class Stub(environment):  # type: ignore[misc]
        checked = True

        def map(self, spec: Any, chosen: Any) -> Any:
            made = super().map(spec, chosen)
            (target, *_) = made.targets
            return made.model_copy(update={"targets": (target.model_copy(update={"text": STUB}),)})

    return Stub(judge, offers=1)


def written(n: int) -> str:
    return f"def price(w):\n    return {n}\n```"


def test_a_stub_is_written_then_corrected_then_sampled(scripted: Any, environment: Any, heard: Any) -> None:
    def judge(text: str) -> Trial:
        return Trial(passed="return 4" in text, reason="1 failed", output="assert 1 == 4")

    model = scripted([PLAN, *(written(n) for n in (1, 2, 3, 4, 5))])
    proposal = run(model, stub_environment(environment, judge), heard)
    assert proposal.passed
    assert "return 4" in proposal.rewrites[0].text
    kinds = [c[3] for c in heard.all("candidate") if c[3] != "small change"]
    assert kinds == ["rewrite", "repair", "sample", "sample"]
    assert "assert 1 == 4" in model.prompts[2][-1]["content"]
    assert [o.get("temperature") for o in model.options[1:]] == [None, 0.0, 0.4, 0.6]


def test_what_is_near_the_best_attempt_is_tried_before_more_samples(
    scripted: Any, environment: Any, heard: Any
) -> None:
    def judge(text: str) -> Trial:
        near = "if w" in text
        return Trial(passed="w <= 2" in text, reason="1 failed", score=0.75 if near else 0.0)

    wrong = [written(n) for n in range(3, 20)]
    wrong[9] = "def price(w):\n    if w < 2:\n        return 1\n    return 2\n```"
    proposal = run(scripted([PLAN, *wrong]), stub_environment(environment, judge), heard)
    assert proposal.passed
    assert "w <= 2" in proposal.rewrites[0].text
    assert heard.all("candidate")[-1][3] == "small change"


def test_the_second_round_sees_the_best_attempt_and_the_time_ends_it(
    scripted: Any, environment: Any, heard: Any
) -> None:
    judge = lambda text: Trial(passed=False, reason="1 failed", output="assert None == 7")  # noqa: E731
    seconds = iter(range(10_000))
    model = scripted([PLAN, *(written(n) for n in range(3, 200))])
    proposal = run(model, stub_environment(environment, judge), heard, clock=lambda: float(next(seconds)))
    assert proposal.passed is False
    told = ["None == 7" in prompt[-1]["content"] for prompt in model.prompts]
    assert told[1:3] == [False, True]
    assert told[3:20] == [False] * 17  # the first draft is scored, then sixteen samples
    assert told[20:22] == [True, True]
    assert len(model.prompts) < 70


def test_without_a_check_the_first_candidate_is_proposed_unchecked(
    scripted: Any, environment: Any, heard: Any, unit: str
) -> None:
    proposal = run(doubting(scripted, unit), environment(lambda _: Trial(passed=None, reason="no check")), heard)
    assert proposal.passed is None
    assert len(proposal.rewrites) == 1


def test_a_rewrite_is_tried_first_where_the_model_would_not_copy(
    scripted: Any, environment: Any, heard: Any, unit: str
) -> None:
    score = TokenScore(0, unit.index("<"), "<", -3.0, (Alternative(7, "<=", -0.1),))
    rewritten = unit.replace("< 2", "<= 2")
    model = scripted([PLAN, CHOICE, f"{rewritten}```"], scores=[score], lines={Branch(0, 7): "<= 2:"})
    assert run(model, environment(), heard).passed
    assert heard.all("candidate")[0][3] == "rewrite"


def test_a_unit_that_could_not_be_scored_is_rewritten(
    scripted: Any, environment: Any, heard: Any, unit: str
) -> None:
    model = scripted([PLAN, CHOICE, f"{unit.replace('< 2', '<= 2')}```"], scores=[])
    assert run(model, environment(), heard).passed
    assert heard.all("candidate")[0][3] == "rewrite"


def test_a_question_is_answered_and_nothing_is_written(scripted: Any, environment: Any, heard: Any) -> None:
    model = scripted([PLAN, CHOICE, "Because of the tariff."])
    lent = environment()
    proposal = run(model, lent, heard, ask=True)
    assert proposal.answer == "Because of the tariff."
    assert not proposal.rewrites
    assert not lent.tried


@pytest.mark.parametrize("reply", ["", "```python\n", "x" * 50_000, "\x00\x01"])
def test_an_empty_or_endless_rewrite_is_no_candidate(
    scripted: Any, environment: Any, heard: Any, unit: str, reply: str
) -> None:
    model = scripted([PLAN, CHOICE, reply])
    proposal = run(model, environment(lambda _: Trial(passed=False, gate=True, reason="does not parse")), heard)
    assert not proposal.rewrites


def test_small_changes_are_tried_only_where_a_check_can_judge(
    scripted: Any, environment: Any, heard: Any, unit: str
) -> None:
    for checked in (False, True):
        lent = environment(lambda _: Trial(passed=False, reason="1 failed"), offers=1)
        lent.checked = checked
        run(scripted([PLAN]), lent, heard)
        assert bool(lent.tried) is checked


def test_a_model_that_cannot_be_looked_into_rewrites_and_the_check_tries_small_changes(
    scripted: Any, environment: Any, heard: Any, unit: str
) -> None:
    class Closed:
        """A model behind a server: it chats, and scores nothing."""

        def __init__(self, model: Any) -> None:
            self.info, self.count, self.chat = model.info, model.count, model.chat

    lent = environment(offers=1)
    lent.checked = True
    proposal = run(Closed(scripted([PLAN, unit])), lent, heard)
    assert proposal.passed
    assert proposal.rewrites[0].text == unit.replace("< 2", "<= 2")


def test_stop_ends_it_at_once(scripted: Any, environment: Any, heard: Any, unit: str) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        run(doubting(scripted, unit), environment(), heard, cancel=cancel)


def test_the_intent_of_the_spec_is_strict() -> None:
    assert [intent.value for intent in Intent] == ["change", "create", "explain"]


def long_map(environment: Any, text: str) -> Any:
    """A environment whose first target is this long unit."""

    class Long(environment):  # type: ignore[misc]
        def map(self, spec: Any, chosen: Any) -> Any:
            made = super().map(spec, chosen)
            return made.model_copy(update={"targets": (made.targets[0].model_copy(update={"text": text}),)})

    return Long


def test_a_unit_too_long_to_be_written_again_is_patched(
    scripted: Any, environment: Any, heard: Any, unit: str
) -> None:
    text = unit + "".join(f"    line_{n} = 'something rather long to be read'\n" for n in range(400))
    patch = "<<<<<<< SEARCH\n    if w < 2:\n=======\n    if w <= 2:\n>>>>>>> REPLACE"
    wrong = patch.replace("w < 2", "v < 2")
    model = scripted([PLAN, CHOICE, wrong, patch])
    proposal = run(model, long_map(environment, text)(), heard)
    assert proposal.passed
    assert proposal.rewrites[0].text == text.replace("w < 2", "w <= 2")
    assert [told[3:] for told in heard.all("candidate")] == [("search and replace", "passed")]
    assert any("is nowhere" in note for _, _, note in heard.all("repaired"))
    assert "is nowhere" in model.prompts[-1][-1]["content"]


def test_what_fits_the_window_twice_is_written_again(
    scripted: Any, environment: Any, heard: Any, unit: str
) -> None:
    model = scripted([PLAN, CHOICE, unit.replace("<", "<=")])
    model.score = None
    assert run(model, long_map(environment, unit + "    # x\n" * 800)(), heard).passed
    assert "SEARCH" not in model.prompts[-1][1]["content"]


class Around:
    """What an environment adds that answers when the Explorer looks further."""

    expands = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.asked: list[Any] = []

    def expand(self, asked: Any) -> Any:
        self.asked.append([(offer.id, relation.name) for offer, relation in asked])
        n = len(self.asked)
        return [self._offers[0].model_copy(update={"id": f"e{n}", "path": f"e{n}.py"})]  # type: ignore[attr-defined]


def looking(*looks: str, targets: str = "s1") -> str:
    return json.dumps({"targets": [targets], "look": list(looks)})


def test_the_explorer_looks_further_at_most_twice(scripted: Any, environment: Any, heard: Any, unit: str) -> None:
    around = type("Wide", (Around, environment), {})()
    last = json.dumps({"targets": ["e2"], "look": ["callers of s1"]})
    model = scripted(
        [PLAN, looking("callers of s1", "tests of s2"), looking("callees of e1"), last], *_doubts(unit)
    )
    proposal = run(model, around, heard)
    assert around.asked == [[("s1", "CALLERS"), ("s2", "TESTS")], [("e1", "CALLEES")]]
    assert proposal.rewrites[0].target.path == "e2.py"
    explorers = model.prompts[1:4]
    assert [len(prompt) for prompt in explorers] == [2, 4, 6]
    assert all(prompt[:2] == explorers[0] for prompt in explorers), (
        "the prefix stays, so that it is not read again"
    )
    schemas = [options["schema"]["properties"] for options in model.options[1:4]]
    assert "callers of s9" not in schemas[0]["look"]["items"]["enum"]
    assert "e1" in schemas[1]["targets"]["items"]["enum"]
    assert "look" not in schemas[2]


def test_the_explorer_that_looks_no_further_is_asked_once(
    scripted: Any, environment: Any, heard: Any, unit: str
) -> None:
    around = type("Wide", (Around, environment), {})()
    model = scripted([PLAN, looking("callers of s9", targets="s2")], *_doubts(unit))
    assert run(model, around, heard).rewrites[0].target.path == "f2.py"
    assert around.asked == []


def test_by_default_the_explorer_is_not_told_that_it_could(
    scripted: Any, environment: Any, heard: Any, unit: str
) -> None:
    model = doubting(scripted, unit)
    run(model, environment(), heard)
    assert "look further" not in model.prompts[1][1]["content"]


def test_an_attempt_at_another_target_is_not_looked_around(scripted: Any, environment: Any, heard: Any) -> None:
    """The best attempt so far may be one at a function that is written; its text has no place in the stub's."""

    class Two(environment):  # type: ignore[misc]
        checked = True

        def map(self, spec: Any, chosen: Any) -> Any:
            made = super().map(spec, chosen)
            first, second = made.targets
            return made.model_copy(update={"targets": (first, second.model_copy(update={"text": STUB}))})

    def judge(text: str) -> Trial:
        return Trial(passed=False, reason="1 failed", score=0.75 if "if w" in text else 0.0, output="seen")

    seconds = iter(range(10_000))
    model = scripted([PLAN, '{"targets": ["s1", "s2"]}', "nothing", *(written(n) for n in range(3, 90))])
    tried = Two(judge, offers=2)
    run(model, tried, heard, clock=lambda: float(next(seconds)))
    assert any(rewrite.target.id == "s2" for rewrite in tried.tried)
    assert not [r for r in tried.tried if r.target.id == "s2" and "if w" in r.text]


def test_a_failing_check_is_mended_though_the_model_would_explain(
    scripted: Any, environment: Any, heard: Any, unit: str
) -> None:
    explains = json.dumps({"intent": "explain", "goal": "say why", "acceptance": [], "terms": []})
    answered = run(scripted([explains, "Because."]), environment(offers=1), heard)
    assert answered.answer
    checked = type("Checked", (environment,), {"checked": True})
    mended = run(scripted([explains, f"{unit.replace('< 2', '<= 2')}```"]), checked(offers=1), heard)
    assert mended.passed


def test_a_search_that_ends_says_why(scripted: Any, environment: Any, heard: Any) -> None:
    checked = type("Checked", (environment,), {"checked": True})
    judge = lambda text: Trial(passed=False, reason="1 failed")  # noqa: E731
    proposal = run(scripted([PLAN, *["no code"] * 9]), checked(judge, offers=1), heard)
    assert proposal.summary.endswith("nothing is left to try)")
    seconds = iter(range(0, 100_000, 50))
    model = scripted([PLAN, *["no code"] * 9])
    proposal = run(model, checked(judge, offers=1), heard, clock=lambda: float(next(seconds)))
    assert proposal.summary.endswith("time is up)")


def test_attempts_are_crossed_before_more_samples(scripted: Any, environment: Any, heard: Any) -> None:
    def both(one: int, other: int) -> str:
        return f"def encode():\n    return {one}\n\n\ndef decode():\n    return {other}\n```"

    def judge(text: str) -> Trial:
        score = ("return 7" in text) / 2 + ("return 8" in text) / 2
        return Trial(passed=score == 1.0, reason="1 failed", score=score)

    model = scripted([PLAN, both(7, 1), both(2, 8), *["no code"] * 40])
    proposal = run(model, stub_environment(environment, judge), heard)
    assert proposal.passed
    assert [c[3] for c in heard.all("candidate")] == ["rewrite", "repair", "crossed", "crossed"]


def test_an_attempt_that_passes_no_test_may_be_one_small_change_away(
    scripted: Any, environment: Any, heard: Any
) -> None:
    def judge(text: str) -> Trial:
        return Trial(passed="w <= 2" in text, reason="3 failed")

    near = "def price(w):\n    if w < 2:\n        return 1\n    return 2\n```"
    proposal = run(scripted([PLAN, near, *["no code"] * 40]), stub_environment(environment, judge), heard)
    assert proposal.passed
    assert heard.all("candidate")[-1][3] == "small change"


def test_a_line_is_written_anew_by_a_model_that_does_not_see_it(
    scripted: Any, environment: Any, heard: Any, unit: str
) -> None:
    asked = []

    class Filling(scripted):  # type: ignore[misc]
        def infill(self, gaps: Any, **_: Any) -> Any:
            asked.extend(gaps)
            yield Reply("if len(w) < 2:", "stop", Usage())

    checked = type("Checked", (environment,), {"checked": True})
    judge = lambda text: Trial(passed="len(w)" in text, reason="1 failed")  # noqa: E731
    score = TokenScore(0, unit.index("<"), "<", -0.1, (Alternative(7, "!=", -2.0),))
    proposal = run(Filling([PLAN], scores=[score]), checked(judge, offers=1), heard)
    assert asked == [("def price(w):\n    ", unit[unit.index("\n        return 1") :])]
    assert proposal.passed
    assert heard.all("candidate")[-1][3] == "filled line"


def test_a_unit_that_took_long_to_be_read_is_made_use_of(
    scripted: Any, environment: Any, heard: Any, unit: str
) -> None:
    now = [0.0]

    class Slow(scripted):  # type: ignore[misc]
        def score(self, *args: Any, **options: Any) -> Any:
            now[0] += 20.0
            return super().score(*args, **options)

    checked = type("Checked", (environment,), {"checked": True})
    tried = checked(lambda text: Trial(passed=False, reason="1 failed"), offers=2)
    score = TokenScore(0, unit.index("<"), "<", -0.1, (Alternative(7, "<=", -2.0),))
    model = Slow(
        [PLAN, '{"targets": ["s1", "s2"]}', *["no code"] * 40], scores=[score], lines={Branch(0, 7): "<= 2:"}
    )
    run(model, tried, heard, clock=lambda: now[0])
    kinds = [kind for _, _, _, kind, _ in heard.all("candidate")]
    small = next((n for n, kind in enumerate(kinds) if kind != "small change"), len(kinds))
    assert [r.target.id for r in tried.tried][:small].count("s2") > 1
