"""Find examples in the user's words: a call, what it gives, and what it should give. Nothing is guessed or run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

MAX_EXAMPLES = 8
_MAX_EXAMPLE = 400
# A request is read at both ends where it is longer: what lies between is a log. So many calls and values are read.
_READ, _MOST_READ, _MOST_TRIED = 20_000, 300, 1_000
# Words that may stand between a call and what is said of it.
_FAR, _SENTENCES = 120, 1

_BE = (
    r"(?:be|give|return|print|raise|throw|yield|equal|produce|output|show|evaluate\s+to|cost|read|come\s+out\s+as"
    r"|result\s+in|fail\s+with|have\s+(?:been|given|returned|raised))"
)
_ADVERB = r"(?:\s+(?:really|rather|just|actually|instead|only|still|always|simply))?"
_FILLER = r"(?:\s+(?:me|us|back|now|currently|actually|a|an|the|value|result|exactly|only)(?![\w(]))*"
_MARKER = re.compile(
    rf"""(?P<expected>
          \b(?:should|must|ought\s+to|has\s+to|have\s+to|needs?\s+to|(?:is|am|are)\s+supposed\s+to|used\s+to){_ADVERB}\s+{_BE}
        | \b(?:expect(?:ed|ing|s)?|want(?:ed|s)?)(?:\s+it)?(?:\s+to\s+{_BE})?
            (?:\s+(?:value|result|output|answer|is|was|would\s+be)(?![\w(]))*\s*:?
        | \b(?:correct|right)\s+(?:\w+\s+)?(?:is|would\s+be|was)
      )
    | (?P<actual>
          \b(?:gives|gave|returns|returned|prints|printed|raises|raised|throws|threw|yields|produces|outputs|shows
             |costs|equals|evaluates\s+to|comes\s+out\s+as|results\s+in|gets?|got|getting|(?:crashes|fails|dies)\s+with
             |it(?:'s|\s+is|\s+was)|but\s+(?:is|was))
      )
    | (?P<beside> \bto\s+{_BE} | \bis\b | \bwas\b | -> | => | → | ==? | \b{_BE} )
    | (?P<other> \b(?:instead\s+of|rather\s+than)(?:\s+(?:giving|returning|printing|raising|being))?
        | [,;]\s*(?:and\s+|but\s+)?not | \b(?:and|but)\s+not )
    """,
    re.X | re.I,
)
_TICKED = re.compile(r"(?<!`)`(?:>>>\s*+)?((?:[^`\s]++|[^\S\n]++(?![\s`]))++)\s*+`(?!`)")
_CALL = re.compile(r"(?<![\w.`'\"])[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\(")
_TAIL = re.compile(r"\.[A-Za-z_]\w*\(|\.[A-Za-z_]\w*|[\[(]")
_NUMBER = re.compile(
    r"[-+]?(?:\d[\d_]*(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?j?(?!\w)(?!\.\d)(?![-/:,]\d)(?!\s*(?:[*/+%^]|-\s*\d|or\b))"
)
_WORD = re.compile(r"(?:None|True|False)\b")
_STRING = re.compile(r"""[bBrRuU]?("(?:[^"\\\n]|\\.){0,400}+"|'(?:[^'\\\n]|\\.){0,400}+')(?!\w)""")
_LITERAL = re.compile(rf"(?<![\w.])(?:{_NUMBER.pattern}|{_WORD.pattern})")
_ERROR = re.compile(r"`?((?:[a-z_]\w*+\.)*+[A-Z]\w*+)`?")
_ERROR_WORD = re.compile(rf"(?<![\w.]){_ERROR.pattern}")
_ERROR_NAME = re.compile(r"(?:Error|Exception|Warning|Interrupt|Exit|Iteration)$")
_RAISING = re.compile(r"rais|thr[oe]w|with$", re.I)
_DENIED = re.compile(r"(?:n't|\bnot|\bnever|\bno longer|\bcannot)\s+$", re.I)
_BEFORE = 60
_WISHED = re.compile(
    r"\b(?:so|such)\s+that\s+$|\b(?:ensure|make\s+sure)(?:\s+that)?\s+$|\b(?:expect(?:ed)?|assert|want|make|let|have)\s+$",
    re.I,
)
_FOR = re.compile(
    r"\s*+(?:for|from|with|of|when\s++(?:I\s++)?call(?:ing|ed)?|if\s++I\s++call|by\s++calling)?\s*+:?\s*+"
)
_PROMPT = re.compile(r"^[ \t]*+>>>[ \t]*+(\S.*)\n[ \t]*+(?!>>>)(\S.*)$", re.M)
_OPEN = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call gives: the value of an expression, or an exception of this name."""

    text: str
    raises: bool = False

    def __str__(self) -> str:
        return f"raises {self.text}" if self.raises else self.text


@dataclass(frozen=True, slots=True)
class Example:
    """A call and what should come of it, each as it stands in the user's words.

    Attributes
    ----------
    actual
        What the user says it gives now; None if that was not said.
    """

    call: str
    expected: Outcome
    actual: Outcome | None = None

    def __str__(self) -> str:
        return f"{self.call} must {'raise ' if self.expected.raises else 'give '}{self.expected.text}"


@dataclass(slots=True)
class _Said:
    """Something said of a call: where, in which role, and what."""

    start: int
    end: int
    role: str
    outcome: Outcome


def find_examples(request: str) -> list[Example]:
    """Return the examples in a request, in order, each once, `MOST` at most.

    Every part is a Python expression and occurs in the request as it is returned. A call of which two different
    things are said in one role is left out.
    """
    request = _readable(request)
    calls = list(_calls(request))
    said = list(_outcomes(request, [(start, end) for start, end, _ in calls]))
    values = [(s.start, s.end) for s in said]
    subjects = [c for c in calls if not any(start < c[0] < end for start, end in values)]
    found = [*_sessions(request)]
    for number, (start, end, code) in enumerate(subjects):
        stop = subjects[number + 1][0] if number + 1 < len(subjects) else len(request)
        begin = subjects[number - 1][1] if number else 0
        found += _read(request, code, (begin, start), (end, stop), said)
    return _agreeing([e for e in found if occurs(e, request)])[:MAX_EXAMPLES]


def _agreeing(found: list[Example]) -> list[Example]:
    """Take each call once, and none of which two things are expected."""
    by_call: dict[str, list[Example]] = {}
    for one in found:
        by_call.setdefault(one.call, []).append(one)
    return [
        max(those, key=lambda e: e.actual is not None)
        for those in by_call.values()
        if len({e.expected for e in those}) == 1
    ]


def mentions_call(request: str) -> bool:
    """Whether a request holds anything that is written like a call."""
    return next(_calls(_readable(request)), None) is not None


def _readable(request: str) -> str:
    """Return a request, or both ends of one that is longer than anybody writes."""
    if len(request) <= _READ:
        return request
    return f"{request[: _READ // 2]}\n\n{request[-_READ // 2 :]}"


def parts(request: str) -> tuple[list[str], list[str]]:
    """Return what an example could be made of: the calls in a request, and the values beside them, each once."""
    request = _readable(request)
    spans = list(_calls(request))
    rest = list(request)
    for start, end, _ in spans:
        rest[start:end] = " " * (end - start)
    beside = "".join(rest)
    values = [m[1] for m in _TICKED.finditer(beside) if _expression(m[1]) is not None]
    values += [m[0] for pattern in (_STRING, _LITERAL) for m in pattern.finditer(beside)]
    values += [m[1] for m in _ERROR_WORD.finditer(beside) if _ERROR_NAME.search(m[1])]
    return list(dict.fromkeys(code for _, _, code in spans)), list(dict.fromkeys(values))


def quoted(call: str, expected: str, actual: str, request: str) -> Example | None:
    """Return an example that somebody else read in a request; None unless each part stands there, on its own.

    Parameters
    ----------
    actual
        Empty if it was not said.
    """
    if not call.strip() or not expected.strip() or actual.strip() == expected.strip():
        return None
    if max(map(len, (call, expected, actual))) > _MAX_EXAMPLE:
        return None
    request = _readable(request)
    found = Example(call.strip(), _quote(expected), _quote(actual) if actual.strip() else None)
    parts = [found.call, found.expected.text, *([found.actual.text] if found.actual else [])]
    alone = all(re.search(rf"(?<![\w.]){re.escape(part)}(?!\w|\.\d)", request) for part in parts)
    return found if alone and occurs(found, request) else None


def _quote(text: str) -> Outcome:
    text = text.strip().strip("`")
    return Outcome(text, raises=bool(_ERROR.fullmatch(text) and _ERROR_NAME.search(text)))


def occurs(example: Example, request: str) -> bool:
    """Whether all of an example stands in the request, and as expressions of Python."""
    parts = [example.call, example.expected.text, *([example.actual.text] if example.actual else [])]
    return all(part in request and _expression(part) is not None for part in parts) and _is_call(example.call)


def _expression(code: str) -> ast.expr | None:
    if len(code) > _MAX_EXAMPLE:
        return None
    try:
        return ast.parse(code, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _is_call(code: str) -> bool:
    """Whether an expression is made by calling something, and holds nothing that is not a plain value."""
    tree = _expression(code)
    unwanted = (ast.Lambda, ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr, ast.Compare)
    return (
        tree is not None
        and any(isinstance(node, ast.Call) for node in ast.walk(tree))
        and not any(isinstance(node, unwanted) for node in ast.walk(tree))
    )


def _calls(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and code of what is written like a call, in backticks or plainly; `_MOST_READ` at most."""
    return islice(_every_call(text), _MOST_READ)


def _every_call(text: str) -> Iterator[tuple[int, int, str]]:
    place = 0
    ticked, plain = _TICKED.search(text), _CALL.search(text)
    for _ in range(_MOST_TRIED):
        if ticked is not None and ticked.start() < place:
            ticked = _TICKED.search(text, place)
        if plain is not None and plain.start() < place:
            plain = _CALL.search(text, place)
        if ticked is not None and (plain is None or ticked.start() < plain.start()):
            place = ticked.end()
            if _is_call(ticked[1]):
                yield ticked.start(), ticked.end(), ticked[1]
        elif plain is not None:
            end = _call_end(text, plain.end() - 1)
            code = text[plain.start() : end]
            # Plurals such as "tariff(s)" are no calls.
            if end and not re.search(r"\((?:e?s|\w{0,3}ies)\)$", code) and _is_call(code):
                yield plain.start(), end, code
                place = end
            else:
                place = plain.end()
        else:
            return


def _call_end(text: str, bracket: int) -> int:
    """Return where a call ends whose bracket opens here, with what is taken of its result; 0 if never."""
    end = _closed(text, bracket)
    while end and end - bracket < _MAX_EXAMPLE and (tail := _TAIL.match(text, end)):
        after = _closed(text, tail.end() - 1) if tail[0][-1] in _OPEN else tail.end()
        if not after:
            break
        end = after
    return end


def _closed(text: str, bracket: int) -> int:
    """Return the place after the bracket that closes the one here; 0 if there is none near."""
    waiting: list[str] = []
    place = bracket
    while place < min(len(text), bracket + _MAX_EXAMPLE):
        sign = text[place]
        if sign in "\"'":
            string = _STRING.match(text, place)
            if string is None:
                return 0
            place = string.end()
            continue
        if sign in _OPEN:
            waiting.append(_OPEN[sign])
        elif sign in _OPEN.values():
            if waiting.pop() != sign:
                return 0
            if not waiting:
                return place + 1
        place += 1
    return 0


def _outcomes(text: str, calls: list[tuple[int, int]]) -> Iterator[_Said]:
    """Yield what is said to be given or expected, in order; `_MOST_READ` at most."""
    return islice(_every_outcome(text, calls), _MOST_READ)


def _every_outcome(text: str, calls: list[tuple[int, int]]) -> Iterator[_Said]:
    place = 0
    while marker := _MARKER.search(text, place):
        place = marker.end()
        inside = next((end for start, end in calls if start <= marker.start() < end), 0)
        if inside:
            place = inside
            continue
        role = str(marker.lastgroup)
        if _DENIED.search(text, max(0, marker.start() - _BEFORE), marker.start()):
            continue
        found = _value(text, marker.end(), raising=bool(_RAISING.search(marker[0])))
        if found is None:
            continue
        outcome, end = found
        # "I expect `price(2)` to be 5": a call of which something is said is no value.
        after = re.compile(r"\s*").match(text, end)
        said_of = _MARKER.match(text, after.end()) if after else None
        if said_of is not None and said_of.lastgroup != "other" and _is_call(outcome.text):
            continue
        yield _Said(marker.start(), end, role, outcome)
        place = end


def _value(text: str, place: int, *, raising: bool) -> tuple[Outcome, int] | None:
    """Read the value or the exception that stands here, and where it ends."""
    filler = re.compile(rf"{_FILLER}\s*:?\s*", re.I).match(text, place)
    start = filler.end() if filler else place
    error = _ERROR.match(text, start)
    if error and (raising or _ERROR_NAME.search(error[1])) and not text.startswith("(", error.end()):
        return Outcome(error[1], raises=True), error.end()
    if raising:
        return None
    if ticked := _TICKED.match(text, start):
        return (Outcome(ticked[1]), ticked.end()) if _expression(ticked[1]) is not None else None
    end = _plain_end(text, start)
    code = text[start:end]
    return (Outcome(code), end) if end and _expression(code) is not None else None


def _plain_end(text: str, start: int) -> int:
    """Return where the literal or the call ends that stands here without backticks; 0 if there is none."""
    for pattern in (_STRING, _NUMBER, _WORD):
        if literal := pattern.match(text, start):
            return literal.end()
    if text[start : start + 1] in _OPEN:
        return _closed(text, start)
    call = _CALL.match(text, start)
    return _call_end(text, call.end() - 1) if call else 0


def _read(
    text: str, code: str, before: tuple[int, int], after: tuple[int, int], said: list[_Said]
) -> Iterator[Example]:
    """Yield the example of one call, if what is said of it is complete and says one thing."""
    roles: dict[str, list[Outcome]] = {"expected": [], "actual": []}
    wished = bool(_WISHED.search(text, before[0], before[1]))
    _said_before(text, before, said, roles)
    last, place = "", after[0]
    for one in (s for s in said if after[0] <= s.start < after[1]):
        gap = text[place : one.start]
        if len(gap) > _FAR or "\n\n" in gap or len(re.findall(r"[.!?](?=\s)", gap)) > _SENTENCES:
            break
        if _FOR.fullmatch(text, one.end, after[1]) and after[1] < len(text):
            break
        beside = not gap.strip(" `")
        role = _role(one, last, text, beside=beside, wished=wished and not last)
        place = one.end
        if role:
            last = role
            roles[role].append(one.outcome)
    expected, actual = (list(dict.fromkeys(roles[role])) for role in ("expected", "actual"))
    if len(expected) == 1 and len(actual) <= 1 and actual != expected:
        yield Example(code, expected[0], actual[0] if actual else None)


def _said_before(text: str, span: tuple[int, int], said: list[_Said], roles: dict[str, list[Outcome]]) -> None:
    """Take what is said ahead of a call: ``I expect 5 for price(2)``."""
    near = [s for s in said if span[0] <= s.start and s.end <= span[1]][-2:]
    if not near or not _FOR.fullmatch(text, near[-1].end, span[1]) or not text[near[-1].end : span[1]].strip():
        return
    if near[0].end < near[-1].start and "." in text[near[0].end : near[-1].start]:
        near = near[-1:]
    last = ""
    for one in near:
        role = _role(one, last, text, beside=False, wished=False)
        if role:
            last = role
            roles[role].append(one.outcome)


def _role(one: _Said, last: str, text: str, *, beside: bool, wished: bool) -> str:
    """Say whether something is expected or given; nothing where the words leave it open."""
    if one.role == "other":
        return {"expected": "actual", "actual": "expected"}.get(last, "")
    if one.role == "beside":
        if not beside:
            return ""
        word = text[one.start : one.start + 3].lower()
        if wished or word.startswith("to"):
            return "expected"
        return "actual" if word in ("is ", "was", "-> ", "=> ") or word[0] in "-=→" else ""
    return "expected" if wished and beside else one.role


def _sessions(text: str) -> Iterator[Example]:
    """Yield examples of an interpreter session that is followed by what was expected."""
    for shown in _PROMPT.finditer(text):
        call, given = shown[1].rstrip(), shown[2].rstrip()
        if not _is_call(call) or _expression(given) is None:
            continue
        end = shown.end()
        stop = text.find(">>>", end)
        rest = [s for s in _outcomes(text[end : stop if stop >= 0 else end + _FAR], []) if s.role == "expected"]
        wanted = list(dict.fromkeys(s.outcome for s in rest))
        if len(wanted) == 1:
            yield Example(call, wanted[0], Outcome(given))
