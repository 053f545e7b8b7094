"""What the user asks for, read once from the words of a request.

Every question about the user's words ("may tests change?", "is this a question?", "may a function lose its
docstring?") is a field or method of :class:`RequestIntent`; :func:`read_intent` computes it. This module is in
`context` because the pipeline, the gate and the runs all need the answer, and `context` is below the three of
them. How the words are searched for in the index is another matter: :mod:`loom_jupyter.context.query`.

The patterns are strict: what they do not recognise is an ordinary change.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from loom_jupyter.context.languages import is_test
from loom_jupyter.context.query import ROUTINE_STEMS, read
from loom_jupyter.context.terms import STOP, stem
from loom_jupyter.context.terms import words as split


@dataclass(frozen=True, slots=True)
class Operation:
    """One unit to add or remove.

    Attributes
    ----------
    name
        Of that unit, as it was written; empty for a notebook's cell.
    after
        Name of the unit after which the new one is placed; empty if the request does not say.
    """

    kind: Literal["add", "remove"]
    name: str = ""
    after: str = ""


@dataclass(frozen=True)
class RequestIntent:
    """What one request asks for.

    Attributes
    ----------
    words
        The user's words, with the answer to the Architect's question.
    operation
        The unit to add or remove by name; None for any other change.
    renamed
        The name to change and its new name; None if nothing is renamed.
    asks_for_removal
        Whether definitions, or the bodies of functions, may disappear.
    asks_about_signature
        Whether a function's parameters may change.
    asks_about_docstrings, asks_about_decorators
        Whether a rewrite may leave these out.
    asks_about_assertions
        Whether what a cell asserts may change.
    asks_to_exit
        Whether the program may end its process.
    asks_about_testing
        Whether the program may deal with test frameworks.
    is_question
        Whether the request asks for an explanation or a list.
    names_error
        Whether an exception, a traceback or a line number is quoted.
    names_code
        Whether a path, a file name or a word written as code occurs.
    telling
        Words that may say what is meant: neither stop words nor words that fit every task.
    files
        Relative file names in the words, in their order.
    """

    words: str
    operation: Operation | None
    renamed: tuple[str, str] | None
    asks_for_removal: bool
    asks_about_signature: bool
    asks_about_docstrings: bool
    asks_about_decorators: bool
    asks_about_assertions: bool
    asks_to_exit: bool
    asks_about_testing: bool
    is_question: bool
    names_error: bool
    names_code: bool
    telling: tuple[str, ...]
    files: tuple[str, ...]

    def asks_for_tests(self, judging: Collection[str] = ()) -> bool:
        """Whether tests may change.

        Parameters
        ----------
        judging
            Further files that count as tests; known only after a check's first run.
        """
        return asks_for_tests(self.words, judging)


@lru_cache(maxsize=16)
def read_intent(words: str) -> RequestIntent:
    """Read what a request asks for.

    Parameters
    ----------
    words
        The user's words.

    Returns
    -------
    RequestIntent
        The same object for the same words: nodes and gate ask often.

    Examples
    --------
    >>> intent = read_intent("add a function `heavy` after parcel_price")
    >>> intent.operation
    Operation(kind='add', name='heavy', after='parcel_price')
    >>> intent.is_question
    False
    >>> read_intent("update the tests to expect 5.1").asks_for_tests()
    True
    """
    request = read(words)
    return RequestIntent(
        words=words,
        operation=operation(words),
        renamed=renamed(words),
        asks_for_removal=_REMOVAL.search(words) is not None,
        asks_about_signature=_SIGNATURE.search(words) is not None,
        asks_about_docstrings=_DOCSTRINGS.search(words) is not None,
        asks_about_decorators=_DECORATORS.search(words) is not None,
        asks_about_assertions=_ASSERTIONS.search(words) is not None,
        asks_to_exit=_EXIT.search(words) is not None,
        asks_about_testing=_TESTING.search(words) is not None,
        is_question=_QUESTION.match(words) is not None,
        names_error=_ERROR.search(words) is not None,
        names_code=bool(request.code or request.mentions),
        telling=tuple(a.term for a in request.asked if stem(a.term) not in _EMPTY | ROUTINE_STEMS),
        files=_files(words),
    )


# Words that permit something that a rewrite may not do otherwise.

_REMOVAL = re.compile(
    r"\b(?:re)?(?:mov|delet|drop|renam|merg|replac|split|inlin|stub|empt|abstract|refactor|extract|simplif|clean)",
    re.I,
)
_SIGNATURE = re.compile(r"argument|parameter|signature|keyword|default|option|\brename", re.I)
_DECORATORS = re.compile(r"decorat|@\w", re.I)
_DOCSTRINGS = re.compile(r"doc ?string|document|comment", re.I)
_ASSERTIONS = re.compile(r"\bassert(?:ions?|s)?\b", re.I)
_EXIT = re.compile(r"\b(?:exit|quit|terminat|abort|status|return code|systemexit)|\bends?\b", re.I)
# A plugin, a mock, an equality of a class's own.
_TESTING = re.compile(
    r"pytest|unittest|pluggy|\bplugin|\bmock|\b(?:gc|garbage)\b|__eq__|\bequal|\bmatcher|builtins", re.I
)

# Whether deterministic code has something to go by.

_QUESTION = re.compile(r"\s*(?:what|why|how|where|when|who|which|explain|describe|summari[sz]e|show|list)\b", re.I)
_ERROR = re.compile(r"Traceback|\b\w*(?:Error|Exception|Warning)\b|\bline \d+", re.I)
# Words that say nothing of what is to be done, or to what.
_EMPTY = {
    stem(word)
    for word in split(
        "anything app application asap bad beautiful best better broken buggy clean cleaner code codebase "
        "complete correct correctly do does everything fast faster file files finish fine folder good "
        "great help it job kindly look nice nicer notebook ok optimal optimize perfect please polish "
        "problem problems program project properly quality quick quicker refactor repo repository right "
        "script something software somehow stuff task thanks thing things this try useful well work "
        "working works wrong"
    )
}
_FILE = re.compile(
    r"(?:\./)?([\w-][\w./-]*\.(?:py|pyi|jsx?|tsx?|rs|go|c|h|cpp|java|sql|r|jl|md|toml|ya?ml|json|sh|txt|css|html))"
)


def _files(words: str) -> tuple[str, ...]:
    found = (_FILE.fullmatch(word.strip("`'\"()[]<>,;:!?").rstrip(".")) for word in words.split())
    return tuple(match[1] for match in found if match and ".." not in match[1].split("/"))


# What is added or removed by name.

_KIND = r"(?:function|method|class|helper|constant|test|definition|generator|dataclass|enum|subclass)"
_NAME = r"`?([A-Za-z_][\w.]*)(?:\(\)|\([^()\n]*\))?`?"
_ADD = re.compile(
    rf"\s*(?:please\s+|(?:can|could)\s+you\s+)?"
    rf"(?:add|write|implement|define|introduce|insert|give\s+(?:me|us))\s+(?:me\s+|us\s+)?(?:an?|another|the|one)?\s*"
    rf"(?:(?:new|small|simple|private|public|static|helper|utility|python)\s+)*{_KIND}\s+"
    rf"(?P<said>(?:called|named)\s+)?(?P<name>{_NAME})",
    re.I,
)
_CELL = re.compile(
    r"\s*(?:please\s+)?(?:add|insert|append|write)\s+(?:an?|another|one|the)?\s*(?:new\s+)?(?:code\s+)?cell\b",
    re.I,
)
_AFTER = re.compile(
    rf"\b(?:beside|besides|next\s+to|after|below|under(?:neath)?|behind|near|alongside|following)\s+"
    rf"(?:the\s+)?(?:{_KIND}\s+)?{_NAME}",
    re.I,
)
_REMOVE = re.compile(
    rf"\s*(?:please\s+)?(?:remove|delete|drop|get\s+rid\s+of)\s+(?:the\s+)?"
    rf"(?:(?:unused|obsolete|old|dead|deprecated|superfluous)\s+)*"
    rf"(?:{_KIND}\s+{_NAME}|{_NAME}\s+{_KIND})"
    rf"(?:\s+(?:from|in|of)\s+(?:the\s+)?(?:file\s+|module\s+)?`?[\w./-]++`?)?\s*+[.!]?\s*+",
    re.I,
)


def operation(words: str) -> Operation | None:
    """Return what a request asks to be added or removed; None if it asks for something else or for more."""
    if _CELL.match(words):
        return Operation("add")
    if removed := _REMOVE.fullmatch(words):
        return Operation("remove", removed[1] or removed[2])
    added = _ADD.match(words)
    if added is None or not (added["said"] or _is_name(added["name"])):
        return None
    after = _AFTER.search(words, added.end())
    return Operation("add", added[3], after[1] if after else "")


def _is_name(word: str) -> bool:
    """Whether a word after “a function” is its name: “that”, “to” and “returning” are not."""
    return bool(re.search(r"[`(_.]|[a-z][A-Z]", word)) or (word.lower() not in STOP and not word.endswith("ing"))


# Whether the user's words ask for the tests: only then may a proposal change what judges.

_VERB = (
    r"\b(?:add|write|create|extend|improve|update|change|rewrite|rename|move|remove|delete|mark|parametri[sz]e|adapt|adjust"
    r"|refactor|split|generate|implement|expand|replace|edit|modify|simplify|enable|configure|cover|set"
    r"|(?<!that )needs?|convert|port|migrate|translate|reformat|tidy|clean(?:\s+up)?|document|unskip|speed\s+up"
    r"|shorten|merge|reorder"
    # German
    r"|schreibe?n?|erstellen?|ergänzen?|füge|aktualisieren?|ändere?|ändern|passe?|parametrisieren?|teilen?|lösche?n?"
    r"|entfernen?|benenne?n?|verschieben?|erweitern?|erweitere|verbessere|überarbeiten?|vereinfachen?)\s+"
)
# What may stand between the verb and its object: articles first, then words that begin no new thought.
_DETERMINER = (
    r"(?:(?:an?|the|this|these|that|some|more|any|all|my|our|its|their|another|one|two|three|new"
    r"|ein|eine|einen|der|die|das|den|dem|des|diese[nrs]?|zwei|drei|neue[nrs]?|weitere[nrs]?|mehr|noch|bitte)\s+){0,3}"
)
_STOP = (
    r"(?:so|that|until|till|to|for|with|where|when|which|what|whatever|in|on|of|or|and|because|since|by|from|via|using"
    r"|per|against|if|as|while|must|should|it|the|an?|is|are|but|then|make|makes|according|fail\w*|broken|red|code|under"
    r"|dass|sodass|damit|bis|weil|wenn|falls|wie|nach|für|mit|von|zu|zum|zur|an|um|und|oder|aber|ohne|auf|im|gemäß|laut"
    r"|fehl\w*|kaputt\w*|rote[nrs]?)"
)
_BETWEEN = rf"(?:(?!{_STOP}\b)[^\s.,;:!?]+\s+){{0,3}}"
# A test data set, a test server, and tests that fail, pass or want something are not the object.
_NOT = (
    r"(?!\s+(?:(?:that|which|still|already|now|should|must|will|can|do|does|all|both|to)\s+)*"
    r"(?:pass\w*|fail\w*|break\w*|green|red|succeed\w*|work\w*|need\w*|want\w*|(?<!to )expect\w*|show\w*|say\w*"
    r"|demand\w*|requir\w*|complain\w*|call\w*|use|uses|data\w*|set|sets|split|size|mode|server|environment|env|loss"
    r"|accuracy|score|error|loader|time|run|runs|account|image|harness|result\w*|output|are|is|coverage|fixed|repaired"
    r"|page|button|user|client|system|framework|runner|db|drive|variable|argument|parameter|option|flag|setting|column|key"
    r"|field|attribute|grün|rot|besteh\w*|durchlaufen|laufen|läuft|schlagen|schlägt|fordern|verlangen|brauchen|repariert"
    r")\b)"
)
_TEST = (
    r"(?:(?:unit|doc|regressions?|integration|integrations|smoke|property|end-to-end|e2e)?[- ]?tests?"
    r"(?:[- ](?:cases?|suite|files?|modules?|functions?|class(?:es)?|methods?))?"
    r"|(?:unit-?|doc-?|regressions-?|integrations-?)?test(?:s|fall|fälle|fällen|datei|dateien|klassen?|funktion(?:en)?)"
    r"|conftest|specs?(?=\s+(?:for|of)\b)|specs(?=\s*(?:$|[.,;!]))"
    r"|(?:fixtures?|snapshots)(?=\s*(?:$|[.,;:!?])|\s+(?:for|of|in|to|that|which|with|called|named|and|from|accordingly)\b)"
    r"|(?:pytest|coverage|tox|nox|jest|vitest|mocha)\s+(?:config\w*|settings?|options?|markers?|plugins?|setup|section)"
    r"|addopts|testpaths)(?![\w/.-]*[\w/])"
)
_OBJECT = re.compile(rf"{_VERB}{_DETERMINER}{_BETWEEN}{_TEST}{_NOT}", re.I)
_BESIDES = re.compile(
    rf"{_VERB}[^.;:!?]{{1,80}}?\b(?:(?:and|plus|including|as well as)\s+(?:the\s+)?|with\s+)"
    rf"(?:(?:its|their|an?|some|new|more|unit|matching|corresponding|also)\s+){{0,3}}{_TEST}"
    r"(?=\s*$|\s*[.,;!?]|\s+(?:for|of|accordingly|too|as well)\b)",
    re.I,
)
# "change 4.9 to 5.1 in tests/test_price.py": the path is one sign, with its "in"; with "to", another.
_PLACE, _GOAL = "\x1f", "\x1e"
_TOLD = (
    r"(?:so|that|what|whatever|until|till|because|since|as|if|when|which|fail\w*|according|satisf\w*|tested|checked"
    r"|used|needed|required|expected|called|shown|described|specified|asserted|imported|listed|missing|covered|wanted"
    r"|dass|sodass|damit|bis|wie|weil|getestet|erwartet|geprüft)"
)
_IN_PLACE = re.compile(rf"{_VERB}(?:(?!{_TOLD}\b)[^\s,;:!?]+\s+){{1,7}}{_PLACE}", re.I)
_ADDED = re.compile(
    rf"\b(?:add|append|insert|move|copy|write|put)\s+(?:(?!{_TOLD}\b)[^\s,;:!?]+\s+){{1,7}}"
    rf"(?:{_GOAL}|to\s+{_DETERMINER}(?:{_TEST}{_NOT}|fixture\s+\w+))",
    re.I,
)
_FIRST = re.compile(
    rf"^\s*(?:please\s+)?{_DETERMINER}{_TEST}\s+(?:for|of)\s+(?![^.;:]*\b(?:fail|break|red|wrong))"
    r"|^\s*(?:please\s+)?test\s+(?:that|whether)\b|^\s*(?:please\s+)?test\s[^.;:]*\bwith\s+(?:pytest|unittest)\b",
    re.I,
)
_AMISS = (
    r"(?:(?:is|are)\s+(?:wrong|outdated|obsolete|stale|incorrect|out of date)|expects?\s+the\s+wrong"
    r"|(?:should|must|has to|have to|needs? to)\s+"
    r"(?:expect|assert|be (?:updated|changed|adapted|rewritten|extended))"
    r"|(?:ist|sind)\s+(?:falsch|veraltet|überholt)|(?:soll|sollte|muss|müssen)\s+[^.;:]{0,20}erwarten)"
)
# What a test expects; to say that this is wrong asks for the test.
_EXPECTED = (
    r"(?:expected\s+\w+|asserted\s+\w+|expectations?|assertions?|test\s+expectations?|erwartete[nrs]?\s+\w+"
    r"|erwartungswerte?|erwartung(?:en)?|behauptung)"
)
_INSIDE = rf"\s*(?:{_PLACE}|(?:in|of|von)\s+{_DETERMINER}{_TEST}(?:\s+tests?)?)\s*"
_WRONG = re.compile(
    r"(?<!if )(?<!if the )(?<!wenn der )"
    rf"\b(?:(?:the|this|that|my|our|der|die|dieser)\s+)?(?:tests?|expectations?|test expectations?)(?:\s+tests)?"
    rf"(?:\s+(?:itself|themselves|selbst))?\s+{_AMISS}"
    rf"|\b{_EXPECTED}{_INSIDE}{_AMISS}"
    rf"|\b(?:fix|correct|korrigiere|berichtige)\s+{_DETERMINER}"
    rf"(?:wrong\s+{_EXPECTED}|expected\s+\w+|erwartete[nrs]?\s+\w+){_INSIDE}"
    rf"|\b(?:fix|correct)\s+{_DETERMINER}assertions?{_INSIDE}"
    rf"[:;,]\s*(?:it|they|that)\s+(?:should|must|ha(?:s|ve) to)\b",
    re.I,
)
_WORDING = re.compile(
    rf"\b(?:typos?|docstrings?|comments?|imports?|spelling|formatting|type hints?|tippfehler)\b{_INSIDE}", re.I
)
_COVERAGE = re.compile(
    r"\b(?:increase|improve|raise|extend|erhöhe|verbessere)\s+[^.;:]{0,30}?\b(?:coverage|testabdeckung)"
    r"(?=\s*$|\s*[.,;]|\s+(?:of|for|in|to|by|above|von|für)\b)",
    re.I,
)
_MANNER = re.compile(
    rf"\bmake\s+{_DETERMINER}{_TEST}\s+(?:faster|quicker|stricter|shorter|simpler|cleaner|clearer|independent"
    r"|deterministic|readable|async|(?:more|less)\s+\w+)"
    r"|\buse\s+(?:an?\s+|the\s+)?(?:pytest\S*|unittest\S*|approx|raises|fixtures?|mocks?|monkeypatch|parametri\w+)\s+"
    rf"[^;:]{{0,30}}?(?:{_PLACE}|in\s+{_DETERMINER}{_TEST})"
    r"|\b(?:configure|set up)\s+(?:pytest|tox|nox|jest|vitest|mocha)\b",
    re.I,
)
# A verb between says that something else is kept: "keep the old price and update the tests".
_KEPT = re.compile(
    r"(?:(?:\bnot\b(?! only)|n't|n’t|\bnever\b)(?!\s+forget)|\bwithout\b|\bnor\b|\bohne\b)"
    rf"(?:(?!\bbut\b)[^.;:!?,]){{0,40}}?(?:\b{_TEST}|{_PLACE}|{_GOAL})"
    rf"|(?:\binstead of|\brather than|\bleave|\bleaving|\bkeep|\bkeeping|\blass|\bstatt)\b"
    rf"(?:(?!{_VERB})[^.;:!?,]){{0,40}}?(?:\b{_TEST}|{_PLACE}|{_GOAL})"
    rf"|\b(?:{_TEST}|{_PLACE})\s+(?:bitte\s+)?nicht\b",
    re.I,
)
_WORD = re.compile(r"[\w@.+/-]*[\w@]")
# The name of a test function, not of what tests read or are given.
_FUNCTION = re.compile(
    r"\btest_(?!(?:data|sets?|size|mode|env|split|loader|loss|acc|accuracy|urls?|server|db|config|dir|path|folder|files?"
    r"|x|y|df|dataset|samples?|batch\w*|features|labels|images?|utils|user|client|account|cases?)\b)\w+(?:\(\))?(?![\w/.])"
)
_RENAMED = re.compile(
    r"\b(?:rename|benenne)\s+(?:(?:the|die|den|das|function|method|class|variable|argument|parameter|attribute|constant"
    r"|funktion|methode|klasse)\s+){0,3}[`'\"]?(?P<old>[A-Za-z_]\w*)(?:\(\))?[`'\"]?\s+(?:to|into|as|in|zu|->|→)\s+"
    r"[`'\"]?(?P<new>[A-Za-z_]\w*)",
    re.I,
)


def asks_for_tests(words: str, judging: Collection[str] = ()) -> bool:
    """Whether a request asks for a change of tests or of how they run, or for new ones.

    “The tests fail” and “fix the failing test” ask for the program; words that say that tests are to stay as they
    are always win.

    Parameters
    ----------
    judging
        Further files that judge; one is asked for by name, as a test is.
    """
    named = {match.group() for match in _WORD.finditer(words)}
    files = [name for name in named if "." in name.rpartition("/")[2] or name in judging]
    judged = [n for n in files if (bare := n.removeprefix("./")) in judging or is_test(bare)]
    plain = words
    # A name reads as the noun; "in" or "to" it is where the verb's object lies.
    for name in (*map(re.escape, sorted(judged, key=len, reverse=True)), _FUNCTION.pattern):
        thing = rf"(?:(?:the|der|die|den)\s+)?(?:(?:file|test|function|datei)\s+)?[`'\"]?{name}(?![\w/])[`'\"]?"
        plain = re.sub(rf"\bto\s+{thing}", f" {_GOAL} ", plain)
        plain = re.sub(rf"\b(?:in|into|of|from|von|aus)\s+{thing}", f" {_PLACE} ", plain)
        plain = re.sub(thing, " tests ", plain)
    plain = re.sub(r"[ \t]+", " ", plain)
    if _KEPT.search(plain):
        return False
    patterns = _OBJECT, _BESIDES, _IN_PLACE, _ADDED, _FIRST, _WRONG, _WORDING, _COVERAGE, _MANNER
    return any(pattern.search(plain) for pattern in patterns)


def renamed(words: str) -> tuple[str, str] | None:
    """Return what a request asks to rename, and the new name: tests have to follow; None if there is none.

    A test itself is not renamed so: its name is what tells that it is still there.
    """
    match = _RENAMED.search(words)
    if match is None or match["old"].lower().startswith("test") or match["old"] == match["new"]:
        return None
    return match["old"], match["new"]
