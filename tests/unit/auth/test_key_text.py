"""The form of a key: told from noise, and from a mistyped one, without asking anybody."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from carbon.auth.key_text import KeyText, checksum
from carbon.errors import Unauthorized

ID = st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=12, max_size=12)
SECRET = st.text(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", min_size=43, max_size=43
)
KEYS = st.builds(KeyText, ID, SECRET)


def is_refused(text: str) -> bool:
    with pytest.raises(Unauthorized) as refused:
        KeyText.parse(text)
    return refused.value.code == "key_malformed"


@given(KEYS)
def test_what_is_written_is_read_back(key: KeyText) -> None:
    assert KeyText.parse(str(key)) == key


@given(KEYS, st.data())
def test_one_wrong_character_anywhere_is_noticed(key: KeyText, data: st.DataObject) -> None:
    text = str(key)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(codec="utf-8"))
    assume(other != text[at])
    assert is_refused(text[:at] + other + text[at + 1 :])


@given(KEYS, st.integers(0, 60))
def test_a_key_that_was_cut_short_is_noticed(key: KeyText, length: int) -> None:
    assert is_refused(str(key)[:length])


@given(st.text(max_size=80))
def test_no_text_makes_the_parser_stumble(text: str) -> None:
    assert is_refused(text)


def test_a_new_key_has_the_promised_form_and_is_never_the_same_twice() -> None:
    texts = {str(KeyText.generate()) for _ in range(200)}
    assert len(texts) == 200
    for text in texts:
        assert re.fullmatch(r"ck_[a-z2-7]{12}_[A-Za-z0-9_-]{43}[A-Za-z0-9]{6}", text)


def test_the_secret_does_not_show_in_a_traceback() -> None:
    key = KeyText.generate()
    assert key.secret not in repr(key)


def test_the_checksum_is_crc32_in_base_62() -> None:
    # CRC-32 of "123456789" is 0xCBF43926 by its definition.
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    value = 0
    for character in checksum("123456789"):
        value = value * 62 + digits.index(character)
    assert value == 0xCBF43926
