"""Kinds of memory other than a plain KV cache: sliding windows and recurrent states."""

from pathlib import Path

import pytest
from architectures import small

from loom_jupyter.models.llamacpp import LlamaCpp
from loom_jupyter.models.protocol import Branch, Message

pytest.importorskip("llama_cpp")

KINDS = {
    "gemma 3 1B": {"heads": 4, "kv_heads": 1, "head": 32},
    "gpt-oss 20B": {"heads": 4, "kv_heads": 2, "head": 32},
    "mamba 130M": {},
    "granite 4 hybrid": {"heads": 4, "kv_heads": 2},
}


def ask(words: str) -> list[Message]:
    return [{"role": "user", "content": words}]


@pytest.mark.parametrize("name", KINDS)
def test_what_was_cached_never_changes_the_answer(name: str, tmp_path: Path) -> None:
    path = small(name, tmp_path, **KINDS[name])
    long = "the weather in the north " * 28
    questions = [
        ask(long + "today"),
        ask(long + "tomorrow"),
        ask("a function of numbers " * 20),
        ask(long + "today"),
    ]
    model = LlamaCpp(path, log=tmp_path / "log")
    together = [model.chat(q, max_tokens=12).text for q in questions]
    model.close()
    alone = []
    for question in questions[:3]:
        model = LlamaCpp(path, log=tmp_path / "log")
        alone.append(model.chat(question, max_tokens=12).text)
        model.close()
    assert together == [*alone, alone[0]]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("sequences", [1, 4])
def test_branches_are_plain_continuations_there_too(name: str, sequences: int, tmp_path: Path) -> None:
    model = LlamaCpp(small(name, tmp_path, **KINDS[name]), log=tmp_path / "log", sequences=sequences)
    question, text = ask("the weather in the north " * 25), "it rains and rains and rains"
    scores, _ = model.score(question, text, top=40)
    # One plain letter that merges with no neighbour, so that the text is cut into the same tokens again.
    places = [(s, a) for s in scores for a in s.alternatives if a.text.isascii() and len(a.text) == 1][:12]
    places = [(s, a) for s, a in places if a.text.isprintable() and a.text not in "hte "]
    found = {
        c.branch: c.text
        for c in model.branch(question, text, [Branch(s.index, a.token) for s, a in places], max_tokens=6)
    }
    for place, other in places:
        before = text[: place.start] + other.text
        rest = model.chat(question, max_tokens=5, prefix=before, stop=["\n"]).text
        assert found[Branch(place.index, other.token)] == (other.text + rest).split("\n")[0]
    model.close()
