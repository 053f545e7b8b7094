"""How long replies of 4 kB take to be read, and what becomes of damaged ones.

``python -m tests.benchmarks.bench_reply [--count N] [--seed N]``: the slowest of a set of hostile replies and of
damaged ones, each the best of three; then how many of `count` damaged replies are recovered, refused or misread.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "fixtures"))

from damages import DAMAGES, PIECES, Answer, answer, damaged, says_otherwise, text_of

from loom_jupyter.pipeline.reply import ReplyError, read_reply

SIZE = 4096


def hostile() -> Iterator[tuple[str, str]]:
    """Yield replies of 4 kB that are much work for some reader."""
    for piece in (
        "{word word} ", "{word ", "{'a':((((", '{"a":', "{'a':", "[", "{", "{}", "{a:", "}", '"', "'", '"a"a',
        "<think>", "<think></think>", "</think>", "think", "```", "```json\n{", '{"goal": "', '{"goal" ',
        '"goal": ', "{//", "{/*", "{#\n", "/*", "\\", '\\"', "{\\", "&quot;", "{&quot;", "“", '{"goal": “',
        "{'goal': 'a'} ", '{"goal": "a",} ', " ", "\n", "{ ", "{\n// a\n", "a: ", "{x;", "0", "{0", "-", "é",
    ):  # fmt: skip
        yield repr(piece), (piece * SIZE)[:SIZE]
    head = '{"kind": "fix", "count": 3, "goal": '
    for opening, piece, closing in (
        (head + '"', 'a"a', '"}'), (head + '"', 'a "b" ', '"}'), (head + '"', '", "', '"}'),
        (head + '"', "\\n", '",}'), (head + '"', '",', '"}'), (head + "'", "a'", "'}"),
        (head + "“", "“a” ", "”}"), (head + '"', '"}', '"}'), (head + '"g", "terms": [', "'',", "]}"),
        (head + '"g", "terms": [', "'a', ", "]}"), (head + '"g", "terms": [', '"a" ', "]}"),
        (head + '"g", "terms": [', '"a"a, ', "]}"), (head + '"g", "terms": [', "a,", "]}"),
        (head + '"g", "terms": [', "1,", ",]}"), (head + '"g", "terms": [', "'\\n',", "]}"),
        (head + '"g", "terms": [', "“a”,", "]}"), (head + '"g", "terms": [', "/* */", "]}"),
        (head + '"g", "terms": [', "'a', // a\n", "]}"), (head + '"g", ', "'a':'',", "}"),
        (head + '"g", ', "a:1,", "}"), (head + '"g", ', '"a":"" ', "}"), (head + '"g", ', "'note':'',", "}"),
        (head + '"g", ', '"note":"" ', "}"), (head + '"g", ', '"note" "" ', "}"),
        (head + '"g", "note": ', "{a:", "}"), (head + '"g", "note": ', "[", "}"),
        (head + '"g"} ', "{b:1} ", ""), (head + '"g"} ', "}", ""), (head + '"g",} ', '{"goal": x} ', ""),
        (head, "1", ",}"), ("{a:{", "'a':{},", "}}"),
    ):  # fmt: skip
        yield f"{opening}{piece}…", opening + piece * ((SIZE - len(opening)) // len(piece)) + closing
    for opening, closing in (('{"a":', "}"), ('{"a":[', "]}"), ("[", "]"), ("<thinking>", "</thinking>")):
        deep = SIZE // len(opening + closing)
        yield f"{opening}…{closing}", opening * deep + "1" + closing * deep
    for start, end in (("{'goal':'", "'}"), ("{'terms':[", "]}"), ('"', '"')):
        yield f"words in {start}{end}", start + " ".join(PIECES * 9)[: SIZE - 20] + end


def large(chance: random.Random) -> Iterator[tuple[str, str]]:
    """Yield a damaged reply of 4 kB for each damage."""
    for name, damage in DAMAGES.items():
        data = answer(chance) | {"terms": []}
        while len(json.dumps(data)) < SIZE - 100:
            data["terms"].append(chance.choice(PIECES))
        yield name, damage(text_of(data, chance), data, chance) or ""


def milliseconds(text: str) -> float:
    best = float("inf")
    for _ in range(3):
        begin = time.perf_counter()
        outcome(text)
        best = min(best, time.perf_counter() - begin)
    return best * 1000


def outcome(text: str, want: Answer | None = None) -> str:
    try:
        reading = read_reply(text, Answer)
    except ReplyError:
        return "refused"
    if reading.value == want:
        return "repaired" if reading.repairs else "as it was"
    return "says otherwise" if want is None or says_otherwise(text, want) else "misread"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    chance = random.Random(options.seed)
    replies = [*hostile(), *large(chance)]
    times = sorted(((milliseconds(text), name) for name, text in replies), reverse=True)
    print(f"{len(times)} replies of 4 kB; the slowest, in milliseconds:")
    for taken, name in times[:8]:
        print(f"{taken:8.2f}  {name[:90]}")
    counts: Counter[str] = Counter()
    for name, text, want in damaged(chance, options.count):
        what = outcome(text, want)
        counts[what] += 1
        if what == "misread":
            print(f"misread ({name}): {text}\n  said {want!r}")
    print(f"{options.count} damaged replies: " + ", ".join(f"{n} {what}" for what, n in counts.most_common()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
