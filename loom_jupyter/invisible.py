"""Signs of a text that nobody sees: named, so that no diff, path or message says less than it holds.

Hidden are control and format characters (also soft hyphens, tags, marks that turn the direction of writing),
what is private or not assigned, half characters, fillers that are letters by their category, variation
selectors, and spaces that are not the space. What makes an emoji, or joins letters of Arabic and of Indian
scripts, is left where it does.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_ANSI = re.compile(r"\x1b\[[0-9;?]*+[ -/]*+[@-~]|\x1b\][^\x07\x1b]*+(?:\x07|\x1b\\)")
# Letters and marks that have no shape: fillers, inherent vowels, joiners of graphemes, selectors, a blank pattern.
_SHAPELESS = (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0f\U0001d159\U0001d173-\U0001d17a"
    "\U000e0100-\U000e01ef"
)
_ODD = re.compile(f"[^\\w\t\n -~]|[{_SHAPELESS}]")
_IS_SHAPELESS = re.compile(f"[{_SHAPELESS}]")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SPACES = " \u3000"  # the second is as wide as a letter of Chinese or Japanese
_SELECTORS, _JOINERS = "\ufe0e\ufe0f", "\u200c\u200d"
_JOINED_SCRIPTS = re.compile("[\u0600-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u17ff\u1800-\u18af]")
_KEYCAP = re.compile("[0-9#*]")


def exact(text: str) -> str:
    """Show every hidden character by name, as ``⟨U+202E⟩``; line ends and tabulators stay."""
    return _ODD.sub(_shown, text)


def visible(text: str) -> str:
    """Drop terminal colours, and show other hidden characters as :func:`exact` does."""
    return exact(_ANSI.sub("", text.replace("\r\n", "\n")))


def name(text: str) -> str:
    """Show a name in one line: hidden characters and line ends too."""
    return exact(text).replace("\n", "⟨U+000A⟩").replace("\t", "⟨U+0009⟩")


def _shown(found: re.Match[str]) -> str:
    sign = found[0]
    if not _is_hidden(sign):
        return sign
    text, at = found.string, found.start()
    before, after = text[at - 1 : at] if at else "", text[at + 1 : at + 2]
    if sign in _SELECTORS:
        kept = _is_picture(before) or (_KEYCAP.match(before) is not None and after == "\u20e3")
    elif sign in _JOINERS:
        pictures = sign == "\u200d" and (_is_picture(before) or before in _SELECTORS) and _is_picture(after)
        kept = bool(before) and (pictures or _JOINED_SCRIPTS.match(before) is not None)
    else:
        kept = False
    return sign if kept else f"⟨U+{ord(sign):04X}⟩"


@lru_cache(4096)
def _is_hidden(sign: str) -> bool:
    kind = unicodedata.category(sign)
    return kind in _HIDDEN or (kind == "Zs" and sign not in _SPACES) or _IS_SHAPELESS.match(sign) is not None


def _is_picture(sign: str) -> bool:
    """Whether a sign is an emoji, or the colour of its skin."""
    return bool(sign) and (unicodedata.category(sign) == "So" or "\U0001f3fb" <= sign <= "\U0001f3ff")
