"""Which characters of a text can be seen, and which two that cannot belong to words all the same.

U+200C (zero width non-joiner) and U+200D (joiner) change what stands beside them: Persian, Hindi and Bengali spell
words with them, and they make one emoji of several. Anywhere else they show nothing, so that two names would look the
same. They are let through where they do something:

* next to a virama, which joins consonants of India and its neighbours: after it (the rules ContextJ of RFC 5892, which
  UTS #46 applies), and between a letter and it, as Bengali writes র‍্যা;
* U+200C between two letters of a script that is written joined up, with marks in between or not. ContextJ wants letters
  that would join there; people also write it after those that never do, as in کار‌ها;
* U+200D between two pictures (emoji ZWJ sequences, UTS #51).

Variation selectors choose one of a character's shapes, and are let through after the kinds of characters that have
several: U+FE0E and U+FE0F after pictures, signs and the characters of a keycap, others after ideographs, letters of
Mongolian, 'Phags-pa and Myanmar, and mathematical signs.

All other characters without a shape are none of a name: controls, marks of direction, the zero width space, the byte
order mark, tags, and the letters that are blank.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

NON_JOINER, JOINER = "\u200c", "\u200d"
BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\U0001d159"
)  # fillers and the like, which Python prints
JOINED_UP = (  # how the names of letters begin, in scripts of Unicode's ArabicShaping.txt
    *("ADLAM", "ARABIC", "CHORASMIAN", "HANIFI ROHINGYA", "MANDAIC", "MANICHAEAN", "MONGOLIAN", "NKO", "OLD UYGHUR"),
    *("PHAGS-PA", "PSALTER PAHLAVI", "SOGDIAN", "SYRIAC"),
)
PICTURES = (
    (0x2190, 0x21FF),
    (0x2300, 0x23FF),
    (0x25A0, 0x27BF),
    (0x2900, 0x297F),
    (0x2B00, 0x2BFF),
    (0x1F000, 0x1FAFF),
)
DRESS = frozenset("\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")  # what follows a picture: colours of skin
VIRAMA = 9  # canonical combining class
AS_TEXT, AS_PICTURE, KEYCAP = "\ufe0e", "\ufe0f", "\u20e3"
SELECTORS = ((0x180B, 0x180D), (0x180F, 0x180F), (0xFE00, 0xFE0F), (0xE0100, 0xE01EF))
WITH_SHAPES = ("CJK ", "MONGOLIAN ", "PHAGS-PA ", "MYANMAR ")  # how the names of such letters begin


def is_visible(text: str) -> bool:
    """Return whether every character of a text can be seen, or joins others that can."""
    return _is_plain(text) or all(_is_seen(text, place) for place in range(len(text)))


def with_unseen(text: str, replaced: Callable[[str], str]) -> str:
    """Return the text with each other character replaced by what `replaced` makes of it."""
    if _is_plain(text):
        return text
    return "".join(char if _is_seen(text, place) else replaced(char) for place, char in enumerate(text))


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _is_seen(text: str, place: int) -> bool:
    char = text[place]
    if char in (NON_JOINER, JOINER):
        return _joins(text, place)
    if any(first <= ord(char) <= last for first, last in SELECTORS):
        return _selects(text, place)
    return char.isprintable() and char not in BLANK


def _joins(text: str, place: int) -> bool:
    """Return whether the joiner at a place does something. A joiner beside it does not count, so none is doubled."""
    before, after = text[max(0, place - 1) : place], text[place + 1 : place + 2]
    if before and unicodedata.combining(before) == VIRAMA:
        return True
    if not before or not after:
        return False
    if unicodedata.combining(after) == VIRAMA:
        return unicodedata.category(before).startswith("L")
    if text[place] == NON_JOINER:
        return _is_joined_up(_past(text, place, -1, _is_mark)) and _is_joined_up(_past(text, place, 1, _is_mark))
    return _is_picture(_past(text, place, -1, DRESS.__contains__)) and _is_picture(after)


def _selects(text: str, place: int) -> bool:
    """Return whether the variation selector at a place follows a character of several shapes."""
    before, after = text[max(0, place - 1) : place], text[place + 1 : place + 2]
    if not before:
        return False
    if text[place] in (AS_TEXT, AS_PICTURE):
        if before.isascii():
            return after == KEYCAP
        return before == "ℹ" or unicodedata.category(before) in ("So", "Sm", "Po", "Pd")
    return unicodedata.category(before) == "Sm" or unicodedata.name(before, "").startswith(WITH_SHAPES)


def _past(text: str, place: int, step: int, passed: Callable[[str], bool]) -> str:
    """Return the next character in one direction that is not passed over, or an empty text."""
    place += step
    while 0 <= place < len(text) and passed(text[place]):
        place += step
    return text[place] if 0 <= place < len(text) else ""


def _is_mark(char: str) -> bool:
    return unicodedata.category(char).startswith("M")


def _is_joined_up(char: str) -> bool:
    return char.isalpha() and unicodedata.name(char, "").startswith(JOINED_UP)


def _is_picture(char: str) -> bool:
    if not char or not any(first <= ord(char) <= last for first, last in PICTURES):
        return False
    return unicodedata.category(char) in ("So", "Sm")  # the latter for some arrows
