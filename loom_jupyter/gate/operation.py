"""What the user's words ask to be added or removed by name; read strictly, all else is a change."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from loom_jupyter.context.context_map import (
    NEW_CELL,
    NEW_SYMBOL,
    REMOVED,
    ContextMap,
    Excerpt,
    Offer,
    Rewrite,
    Target,
)
from loom_jupyter.context.languages import is_test
from loom_jupyter.context.terms import STOP

if TYPE_CHECKING:
    from loom_jupyter.context.index import Index

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
_BESIDE = re.compile(
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


@dataclass(frozen=True, slots=True)
class Operation:
    """One unit to be added or removed.

    Attributes
    ----------
    name
        Of that unit, as it was written; empty for a notebook's cell.
    beside
        Name of the unit after which a new one is to stand; empty if that was not said.
    """

    kind: Literal["add", "remove"]
    name: str = ""
    beside: str = ""


def operation(words: str) -> Operation | None:
    """Return what a request asks to be added or removed; None if it asks for something else or for more."""
    if _CELL.match(words):
        return Operation("add")
    if removed := _REMOVE.fullmatch(words):
        return Operation("remove", removed[1] or removed[2])
    added = _ADD.match(words)
    if added is None or not (added["said"] or _is_name(added["name"])):
        return None
    beside = _BESIDE.search(words, added.end())
    return Operation("add", added[3], beside[1] if beside else "")


def _is_name(word: str) -> bool:
    """Whether a word after “a function” is its name: “that”, “to” and “returning” are not."""
    return bool(re.search(r"[`(_.]|[a-z][A-Z]", word)) or (word.lower() not in STOP and not word.endswith("ing"))


def parse_operation(words: str, index: Index) -> Operation | None:
    """Return what is asked to be added or removed by name, where the workspace allows it.

    What is to go must be defined once, what is to come not yet; all else is a change of what is there.
    """
    asked = operation(words)
    if asked is None or (asked.kind == "add" and not asked.name):
        return asked
    known = index.defined(asked.name)
    return asked if len(known) == (asked.kind == "remove") else None


def named(asked: Operation, index: Index) -> Sequence[Offer]:
    """Return the one unit that is named: what goes, or what the new one stands behind; none if that is open."""
    found = index.defined(asked.name if asked.kind == "remove" else asked.beside)
    return found if len(found) == 1 else ()


def targeted(packed: ContextMap, asked: Operation) -> ContextMap:
    """Make the first target the one that goes, or behind which something new stands; the others may be read."""
    if not packed.targets:
        return packed
    first, *others = packed.targets
    text = first.text
    if asked.kind == "remove":
        kind = REMOVED
    elif first.kind == "cell":
        kind, text, others = NEW_CELL, "", [first, *others]
    elif asked.name:
        kind = NEW_SYMBOL
    else:
        return packed
    targets = (first.model_copy(update={"kind": kind, "text": text}),)
    return packed.model_copy(update={"targets": targets, "excerpts": (*packed.excerpts, *map(readable, others))})


def readable(target: Target) -> Excerpt:
    """Return a target as something to read."""
    return Excerpt(
        path=target.path,
        symbol=target.symbol,
        start=target.start,
        end=target.end,
        text=target.text,
        why="chosen",
        cell=target.cell,
    )


def missed(rewrite: Rewrite, asked: Operation | None) -> str | None:
    """Say why a rewrite is not what was asked to be added; None if it is, or if nothing was."""
    name = asked.name.rpartition(".")[2] if asked is not None else ""
    if rewrite.target.kind == NEW_SYMBOL and not re.search(rf"\b{re.escape(name)}\b", rewrite.text):
        return f"does not define {name}"
    return None


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


def only_renames(before: str, after: str, names: tuple[str, str]) -> bool:
    """Whether two texts differ by nothing but a new name for one that had it, which no other thing had before."""
    old, new = names
    word = re.compile(rf"\b{re.escape(old)}\b")
    if re.search(rf"\b{re.escape(new)}\b", before) or not word.search(before):
        return False
    return word.sub(new, before) == word.sub(new, after)
