import uuid

import pytest

from vault.exceptions import InvalidToken
from vault.tokens import LENGTH, Token

TEXT = "tok1_0b0e7a5c-8f1d-4c3b-9a55-6f1e2d3c4b5a"


def test_a_token_is_a_random_uuid_in_a_versioned_text_form():
    tokens = {Token.generate() for _ in range(1000)}
    assert len(tokens) == 1000
    assert all(uuid.UUID(str(token).removeprefix("tok1_")).version == 4 for token in tokens)
    assert {len(str(token)) for token in tokens} == {LENGTH}


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
