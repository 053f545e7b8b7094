"""Whether the user's words ask for the tests: only then may a proposal change what judges."""

from __future__ import annotations

import re
from collections.abc import Collection

from loom_jupyter.context.languages import is_test

_VERB = (
    r"\b(?:add|write|create|extend|improve|update|change|rewrite|rename|move|remove|delete|mark|parametri[sz]e|adapt|adjust"
    r"|refactor|split|generate|implement|expand|replace|edit|modify|simplify|enable|configure|cover|set)\s+"
)
# What may stand between the verb and its object: articles first, then words that begin no new thought.
_DETERMINER = (
    r"(?:(?:an?|the|this|these|that|some|more|any|all|my|our|its|their|another|one|two|three|new)\s+){0,3}"
)
_STOP = (
    r"(?:so|that|until|till|to|for|with|where|when|which|what|whatever|in|on|of|or|and|because|since|by|from|via|using"
    r"|per|against|if|as|while|must|should|it|the|an?|is|are|but|then|make|makes|according|fail\w*|broken|red|code|under)"
)
_BETWEEN = rf"(?:(?!{_STOP}\b)[^\s.,;:!?]+\s+){{0,3}}"
# A test data set, a test server, and tests that fail, pass or want something are not the object.
_NOT = (
    r"(?!\s+(?:(?:that|which|still|already|now|should|must|will|can|do|does|all|both|to)\s+)*"
    r"(?:pass\w*|fail\w*|break\w*|green|red|succeed\w*|work\w*|need\w*|want\w*|(?<!to )expect\w*|show\w*|say\w*"
    r"|demand\w*|requir\w*|complain\w*|call\w*|use|uses|data|set|sets|split|size|mode|server|environment|env|loss|accuracy"
    r"|score|error|loader|time|run|runs|account|image|harness|result\w*|output|are|is)\b)"
)
_TEST = (
    r"(?:(?:unit|doc|regression|integration|smoke|property|end-to-end|e2e)?[- ]?tests?(?:[- ](?:cases?|suite"
    r"|files?|modules?|functions?|class(?:es)?|methods?))?|fixtures?|snapshots?|conftest|specs?"
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
# "change 4.9 to 5.1 in tests/test_price.py": the path, with its "in", is written as one sign.
_PLACE = "\x1f"
_IN_PLACE = re.compile(
    rf"{_VERB}(?:(?!(?:so|that|what|whatever|until|till|because|since|as|if|when|which|fail\w*|according|satisf\w*)\b)"
    rf"[^\s,;:!?]+\s+){{1,7}}{_PLACE}",
    re.I,
)
_FIRST = re.compile(
    rf"^\s*(?:please\s+)?{_DETERMINER}{_TEST}\s+(?:for|of)\s+(?![^.;:]*\b(?:fail|break|red|wrong))", re.I
)
_WRONG = re.compile(
    r"(?<!if )\b(?:the|this|that|my|our)\s+(?:test|tests|test_\w+|expectations?|test expectations?)"
    r"(?:\s+(?:itself|themselves))?\s+"
    r"(?:(?:is|are)\s+(?:wrong|outdated|obsolete|stale|incorrect|out of date)|expects?\s+the\s+wrong"
    r"|(?:should|must|has to|have to|needs? to)\s+"
    r"(?:expect|assert|be (?:updated|changed|adapted|rewritten|extended)))",
    re.I,
)
_WORDING = re.compile(
    rf"\b(?:typos?|docstrings?|comments?|imports?|spelling|formatting|type hints?)\b\s+"
    rf"(?:in|of)\s+(?:the\s+)?{_TEST}",
    re.I,
)
_KEPT = re.compile(
    r"(?:\bnot|n't|n’t|\bnever|\bwithout|\binstead of|\brather than|\bleave|\bleaving|\bkeep|\bkeeping|\bnor)\b"
    rf"[^.;:!?]{{0,40}}?(?:\b{_TEST}|\x1f)",
    re.I,
)
_WORD = re.compile(r"[\w@.+/-]*[\w@]")


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
    plain = words
    for name in sorted(files, key=len, reverse=True):
        bare = name.removeprefix("./")
        if bare in judging or is_test(bare):
            # A path reads as the noun; "in" or "to" it is where the verb's object lies.
            path = rf"(?:the\s+)?(?:file\s+)?[`'\"]?{re.escape(name)}(?![\w/])[`'\"]?"
            plain = re.sub(rf"\b(?:in|to|into|of|from)\s+{path}", f" {_PLACE} ", plain)
            plain = re.sub(path, " tests ", plain)
    if _KEPT.search(plain):
        return False
    return any(pattern.search(plain) for pattern in (_OBJECT, _BESIDES, _IN_PLACE, _FIRST, _WRONG, _WORDING))
