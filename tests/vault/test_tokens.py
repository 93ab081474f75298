import re
import uuid

import pytest
from hypothesis import given, strategies as st

from vault.exceptions import InvalidToken
from vault.tokens import LENGTH, Token

TEXT = "tok1_0b0e7a5c-8f1d-4c3b-9a55-6f1e2d3c4b5a"


def test_a_token_is_a_random_uuid_in_a_versioned_text_form():
    tokens = {Token.generate() for _ in range(1000)}
    assert len(tokens) == 1000
    assert all(uuid.UUID(str(token).removeprefix("tok1_")).version == 4 for token in tokens)
    assert {len(str(token)) for token in tokens} == {LENGTH}


def test_no_scanner_takes_a_token_for_a_card_number():
    tokens = [str(Token.generate()) for _ in range(1000)]
    assert max(len(run) for text in tokens for run in re.findall("[0-9]+", re.sub("[-_]", "", text))) < 12


def test_a_uuid_that_looks_like_a_card_number_is_drawn_again(monkeypatch):
    drawn = iter([uuid.UUID("abcdefab-cdef-4abc-abcd-012345678901"), uuid.UUID("01234567-8901-4abc-abcd-abcdefabcdef")])
    monkeypatch.setattr(uuid, "uuid4", lambda: next(drawn, uuid.UUID(TEXT.removeprefix("tok1_"))))
    assert str(Token.generate()) == TEXT


def is_text_of_a_token(text):
    """By the rules of UUIDs alone."""
    try:
        parsed = uuid.UUID(text[5:])
    except ValueError:
        return False
    return text == f"tok1_{parsed}" and parsed.version == 4 and parsed.variant == uuid.RFC_4122


UUIDS = st.uuids(version=4).map(lambda drawn: f"tok1_{drawn}")


@given(UUIDS)
def test_what_was_written_is_read(text):
    token = Token.parse(text)
    assert (str(token), token.text) == (text, text)
    assert (Token.parse(str(token)), hash(Token.parse(text))) == (token, hash(token))


@given(UUIDS | st.uuids().map(lambda drawn: f"tok1_{drawn}"), st.data())
def test_no_other_text_is_a_token(text, data):
    place = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 2))
    changed = (
        text[:place]
        + data.draw(st.text(st.sampled_from("0123456789abcdefABCDEF-_tok1gO０١ \n"), max_size=2))
        + text[place + length :]
    )
    assert Token.is_token(changed) == is_text_of_a_token(changed)
    if not is_text_of_a_token(changed):
        with pytest.raises(InvalidToken):
            Token.parse(changed)


@given(st.text() | st.none() | st.integers() | st.binary())
def test_anything_else_is_no_token(thing):
    assert not Token.is_token(thing)
    with pytest.raises(InvalidToken):
        Token.parse(thing)


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT[5:],
        TEXT.upper(),
        TEXT + "0",
        TEXT + "\n",
        TEXT.replace("tok1", "tok2"),
        TEXT.replace("-4", "-1"),
        5,
        None,
    ],
)
def test_any_other_text_is_refused_and_never_quoted(text):
    with pytest.raises(InvalidToken) as caught:
        Token.parse(text)
    assert str(caught.value) == InvalidToken.__doc__
    assert not Token.is_token(text)


def test_parsing_gives_back_what_was_written():
    token = Token.parse(TEXT)
    assert str(token) == TEXT
    assert Token.parse(token) is token
    assert Token.is_token(TEXT)
