"""Whether the user's words ask for the tests: only then may a proposal change what judges."""

from __future__ import annotations

import re
from collections.abc import Collection

from loom_jupyter.context.languages import is_test

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
