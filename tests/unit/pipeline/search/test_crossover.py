from __future__ import annotations

from loom_jupyter.pipeline.search.crossover import crossed

BEST = "import re\n\n\ndef encode(text):\n    return 1\n\n\ndef decode(text):\n    return 2\n"
OTHER = "def decode(text):\n    return 3\n\n\n@cached\ndef encode(text):\n    return 4\n"


def texts(best: str, *others: str) -> list[str]:
    return [candidate.text for candidate in crossed(best, others)]


def test_one_definition_at_a_time_comes_from_another_attempt() -> None:
    assert texts(BEST, OTHER) == [
        BEST.replace("return 2", "return 3"),
        BEST.replace("def encode(text):\n    return 1", "@cached\ndef encode(text):\n    return 4"),
    ]


def test_what_was_taken_before_or_means_the_same_is_not_taken_again() -> None:
    same = BEST.replace("return 2", "return (2)  # two")
    assert texts(BEST, same, OTHER, OTHER) == texts(BEST, OTHER)


def test_methods_are_crossed_where_they_are_indented_alike() -> None:
    best = "class Box:\n    def a(self):\n        return 1\n\n    def b(self):\n        return 2\n"
    assert texts(best, best.replace("return 2", "return 3")) == [best.replace("return 2", "return 3")]
    assert texts(best, "class Box:\n  def b(self):\n    return 3\n") == []
    assert texts(best, "def b(self):\n    return 3\n") == []


def test_a_single_function_is_not_crossed() -> None:
    assert texts("def f():\n    return 1\n", "def f():\n    return 2\n") == []
    assert texts("def f(:\n", "def f():\n    return 2\n") == []
    assert texts(BEST, "def f(:\n") == []
