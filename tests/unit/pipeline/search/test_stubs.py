from __future__ import annotations

import pytest

from loom_jupyter.pipeline.search.source import short, unwritten


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n    pass\n",
        'def f(x):\n    """Say what it does."""\n',
        "def f(x):\n    ...\n",
        "def f(x):\n    raise NotImplementedError\n",
        'def f(x):\n    """Do."""\n    raise NotImplementedError("soon")\n',
        "    def m(self):\n        # here\n        pass\n",
        "class A:\n    def __init__(self, x):\n        self.x = x\n\n    def more(self):\n        pass\n",
        "async def f():\n    pass\n",
    ],
)
def test_a_function_without_a_body_is_yet_to_be_written(text: str) -> None:
    assert unwritten(text)


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n    return x\n",
        "def f(x):\n    raise ValueError(x)\n",
        "class Empty(Exception):\n    pass\n",
        "@abstractmethod\ndef f(x):\n    ...\n",
        "@overload\ndef f(x: int) -> int: ...\n",
        "@abc.abstractmethod\ndef f(x):\n    ...\n",
        "class Reader(Protocol):\n    def read(self) -> str: ...\n",
        "class Reader(typing.Protocol[T]):\n    def read(self) -> T: ...\n",
        "def f():\n    return 1\n\n\ndef g():\n    return 2\n\n\ndef close():\n    pass\n",
        "def f(:\n",
        "",
        "\0",
    ],
)
def test_other_code_is_not(text: str) -> None:
    assert not unwritten(text)


def test_a_long_file_is_not_written_as_one() -> None:
    assert short("x\n" * 80)
    assert not short("x\n" * 81)
