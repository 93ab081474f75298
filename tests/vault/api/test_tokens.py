import pytest

from tests.cards import NUMBERS
from tests.factories import client_of, make_card, make_user, next_year
from vault.models import Card
from vault.tokens import Token

pytestmark = pytest.mark.django_db
TOKENS = "/api/v1/tokens/"
DIGITS = NUMBERS["visa"][0]


@pytest.fixture
def api():
    return client_of(make_user("shop", "vault.tokenize_pan"))


def nothing_is_stored(wire) -> bool:
    return not (Card.objects.exists() or sum(wire.calls.values()))


def test_a_card_is_kept_and_described_without_digits(api, canary):
    digits = canary("api")
    answer = api.post(TOKENS, {"pan": digits, "expires": f"{next_year():%Y-%m}"})
    assert answer.status_code == 201
    assert answer.json() == {
        "token": Card.objects.get().token,
        "brand": "visa",
        "bin": digits[:8],
        "last4": digits[-4:],
        "expires": f"{next_year():%Y-%m}",
        "created_at": answer.json()["created_at"],
        "fingerprint": Card.objects.get().fingerprint_id,
        "status": "created",
        "retain_until": f"{Card.objects.get().retain_until}",
        "erased_at": None,
    }
    assert digits not in answer.text


def test_a_known_card_has_the_token_it_has_and_takes_a_new_expiry(api, canary):
    body = {"pan": canary("api")}
    first = api.post(TOKENS, body)
    again = api.post(TOKENS, body)
    updated = api.post(TOKENS, body | {"expires": f"{next_year():%Y-%m}"})
    assert [first.status_code, again.status_code, updated.status_code] == [201, 200, 200]
    assert [answer.json()["status"] for answer in (first, again, updated)] == ["created", "existing", "updated"]
    assert [answer.json()["expires"] for answer in (first, again, updated)] == [None, None, f"{next_year():%Y-%m}"]
    assert len({answer.json()["token"] for answer in (first, again, updated)}) == 1
    assert updated.json()["retain_until"] == f"{Card.objects.get().retain_until}"


def test_a_card_is_described_without_being_opened(api, canary, wire):
    card = make_card(digits := canary("api"))
    wire.calls.clear()
    answer = api.get(f"{TOKENS}{card.token}/")
    assert (answer.status_code, answer.json()["last4"]) == (200, digits[-4:])
    assert digits not in answer.text
    assert not wire.calls


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        pytest.param({}, {"/pan"}, id="missing"),
        pytest.param({"pan": DIGITS[:-1] + "2"}, {"/pan"}, id="Luhn"),
        pytest.param({"pan": int(DIGITS)}, {"/pan"}, id="number"),
        pytest.param({"pan": [DIGITS]}, {"/pan"}, id="list"),
        pytest.param({"pan": None}, {"/pan"}, id="null"),
        pytest.param({"pan": DIGITS, "expires": DIGITS}, {"/expires"}, id="number as expiry"),
        pytest.param({"pan": DIGITS, "expires": 5}, {"/expires"}, id="number as month"),
        pytest.param({"pan": DIGITS, "cvc": "123"}, {"/cvc"}, id="cvc"),
        pytest.param({"pan": DIGITS, "token": str(Token.generate())}, {"/token"}, id="own token"),
        pytest.param({"pan": DIGITS, DIGITS: ""}, {""}, id="number as key"),
        pytest.param({"pan": DIGITS, f"a{DIGITS}": ""}, {""}, id="number in a key"),
        pytest.param({"pan": DIGITS, "x y\n": ""}, {""}, id="key that is no name"),
    ],
)
def test_what_is_wrong_is_named_and_not_quoted_and_stores_nothing(api, wire, body, pointers):
    answer = api.post(TOKENS, body)
    assert answer.status_code == 400
    assert {each["pointer"] for each in answer.json()["errors"]} == pointers
    assert DIGITS[:6] not in answer.text
    assert nothing_is_stored(wire)


def test_a_malformed_token_and_an_unknown_one_get_the_same_answer(api, canary):
    make_card(canary("api"))
    answers = [api.get(f"{TOKENS}{token}/") for token in (Token.generate(), "tok1_x", "tok2_" + "0" * 36)]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text.replace(answer["Request-Id"], "") for answer in answers}) == 1


@pytest.mark.parametrize("right", [None, "vault.view_card", "vault.detokenize_pan", "orders.add_order"])
def test_keeping_a_card_takes_the_right_to(wire, canary, right):
    digits = canary("api")
    answer = client_of(make_user("ada", *filter(None, [right]))).post(TOKENS, {"pan": digits})
    assert answer.status_code == 403
    assert digits not in answer.text
    assert nothing_is_stored(wire)


@pytest.mark.parametrize(
    ("rights", "status"),
    [((), 403), (("vault.detokenize_pan",), 403), (("vault.view_card",), 200), (("vault.tokenize_pan",), 200)],
)
def test_describing_a_card_takes_the_right_to(canary, rights, status):
    card = make_card(canary("api"))
    answer = client_of(make_user("ada", *rights)).get(f"{TOKENS}{card.token}/")
    assert answer.status_code == status
    assert (card.last4 in answer.text) is (status == 200)


def test_strangers_get_401(client, canary):
    card = make_card(canary("api"))
    for answer in (client.post(TOKENS), client.get(f"{TOKENS}{card.token}/")):
        assert answer.status_code == 401
        assert card.last4 not in answer.text


def test_there_is_no_list_of_tokens(api):
    assert api.get(TOKENS).status_code == 405


def test_a_card_number_as_a_token_is_refused_and_not_repeated(api, canary):
    digits = canary("path")
    answer = api.get(f"{TOKENS}{digits}/")
    assert answer.status_code == 400
    assert digits not in answer.text
