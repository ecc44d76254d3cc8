from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.visible import JOINER, NON_JOINER, is_visible, with_unseen

WORDS = {
    "Persian, I go": "می\u200cروم",
    "Persian, after a letter that never joins": "کار\u200cها",
    "Persian, with a mark between": "مِی\u200cروم",
    "Urdu": "خوب\u200cصورت",
    "Kurdish": "ده\u200cنگ",
    "Hindi, half a letter": "क्\u200dष",
    "Hindi, letters kept apart": "राष्\u200cट्र",
    "Marathi": "र्\u200dय",
    "Bengali, rap": "র\u200d্যাপ",
    "Malayalam, a word that ends so": "ഫോണ്\u200d",
    "Sinhala": "ශ්\u200dරී",
    "Mongolian": "ᠠ\u200cᠡ",
    "a firefighter": "👩\u200d🚒",
    "with colours of skin": "👩🏽\u200d❤️\u200d💋\u200d👨🏿",
    "a flag": "🏳️\u200d🌈",
    "a head that nods": "🙂\u200d↕️",
    "a head that shakes": "🙂\u200d↔️",
    "a keycap": "press 1\ufe0f\u20e3",
    "a heart as text": "❤\ufe0e",
    "signs that are pictures": "™\ufe0f ⁉\ufe0f ℹ\ufe0f 〰\ufe0f",
    "one shape of an ideograph": "葛\U000e0100城",
    "Mongolian with a variant": "ᠠ\u180b",
    "among other words": "صدای می\u200cروم و 👩\u200d🚒, twice",
    "no joiners": "Hundegebell, 犬の鳴き声",
}


@pytest.mark.parametrize("text", WORDS.values(), ids=WORDS)
def test_joiners_may_stand_where_words_and_pictures_need_them(text: str) -> None:
    assert is_visible(text)
    assert with_unseen(text, lambda char: "?") == text


UNSEEN = {
    "in a Latin word": "do\u200dg",
    "not joining Latin": "do\u200cg",
    "at the beginning": "\u200cمی",
    "at the end": "می\u200c",
    "alone": "\u200d",
    "doubled": "می\u200c\u200cروم",
    "both": "می\u200c\u200dروم",
    "doubled after a virama": "क्\u200d\u200dष",
    "doubled before a virama": "র\u200d\u200d্যা",
    "joining what is joined": "می\u200dروم",
    "between words": "می \u200cروم",
    "between digits": "۱\u200c۲",
    "between CJK": "犬\u200d鳴",
    "between Cyrillic": "со\u200cбака",
    "an emoji at the end": "👩\u200d",
    "emoji doubled": "👩\u200d\u200d🚒",
    "emoji with a letter": "👩\u200da",
    "emoji kept apart": "👩\u200c🚒",
    "a virama before nothing": "\u200d्य",
    "a variation selector after Latin": "dog\ufe0f",
    "one of another kind after Latin": "dog\U000e0100",
    "one of Mongolian after Latin": "do\u180bg",
    "one after a digit": "dog 1\ufe0f",
    "one after an ideograph that has no picture": "犬\ufe0f",
    "one after another": "❤\ufe0f\ufe0f",
    "one at the beginning": "\ufe0fdog",
    "a note without a head": "dog\U0001d159",
    "zero width space": "می\u200bروم",
    "byte order mark": "dog\ufeff",
    "word joiner": "do\u2060g",
    "backwards": "dog\u202e",
    "isolated": "\u2066dog\u2069",
    "direction": "\u200fdog",
    "Arabic direction": "dog\u061c",
    "tags, as in the flag of England": "🏴\U000e0067\U000e0062\U000e007f",
    "soft hyphen": "do\u00adg",
    "a filler": "do\u3164g",
    "a blank in Braille": "\u2800",
    "a surrogate": "do\ud800g",
    "a line": "do\ng",
}


@pytest.mark.parametrize("text", UNSEEN.values(), ids=UNSEEN)
def test_nothing_else_that_cannot_be_seen_may_stand_in_a_name(text: str) -> None:
    assert not is_visible(text)
    assert with_unseen(text, lambda char: "?").count("?") >= 1


def test_each_character_that_cannot_be_seen_is_replaced_and_no_other() -> None:
    assert with_unseen("می\u200cروم do\u200dg\u202e", ascii) == "می\u200cروم do'\\u200d'g'\\u202e'"


@given(st.text(st.sampled_from("aم्र👩️ᠠ " + JOINER + NON_JOINER)))
def test_no_text_that_is_let_through_has_two_joiners_in_a_row_or_begins_with_one(text: str) -> None:
    if is_visible(text):
        assert not any(pair in text for pair in ("\u200c\u200c", "\u200c\u200d", "\u200d\u200c", "\u200d\u200d"))
        assert not text.startswith((JOINER, NON_JOINER))


@given(st.text())
def test_what_is_left_of_any_text_can_be_seen(text: str) -> None:
    assert is_visible(with_unseen(text, lambda char: "?"))
