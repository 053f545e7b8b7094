from __future__ import annotations

import random
from typing import Any

from damages import DAMAGES, PIECES, Answer, says_otherwise, text_of
from hypothesis import given, settings
from hypothesis import strategies as st

from loom_jupyter.pipeline.reply import ReplyError, parse_reply

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)


SAID = WORDS | st.lists(st.sampled_from(PIECES), min_size=1, max_size=3).map(" ".join)


ANSWERS = st.fixed_dictionaries(
    {"kind": st.sampled_from(("fix", "add")), "goal": SAID, "count": st.integers(0, 9)},
    optional={"terms": st.lists(SAID, max_size=4), "note": SAID, "sure": st.booleans()},
)


@settings(max_examples=1000, deadline=None)
@given(ANSWERS, st.sampled_from(sorted(DAMAGES)), st.integers(0, 1000))
def test_damaged_replies_are_recovered_exactly_or_refused(data: dict[str, Any], damage: str, seed: int) -> None:
    chance = random.Random(seed)
    text = DAMAGES[damage](text_of(data, chance), data, chance)
    if text is None:
        return
    said = Answer.model_validate(data)
    try:
        got = parse_reply(text, Answer)
    except ReplyError:
        assert damage != "none"
        return
    assert got == said or says_otherwise(text, said)
