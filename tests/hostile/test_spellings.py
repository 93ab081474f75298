"""Card numbers as people and programs write them, at every place that takes one (trials B1, B2)."""

import uuid

import pytest

from orders.models import Order
from tests.cards import grouped, with_check_digit
from tests.factories import client_of, make_user, next_year
from tests.vault.importing_files import imported, read_table, write_csv
from vault.exceptions import PANProblem
from vault.models import Card
from vault.redaction import contains_pan, find_pans, redact

pytestmark = [pytest.mark.django_db, pytest.mark.either]


def shifted(zero):
    return lambda digits: digits.translate({ord("0") + value: ord(zero) + value for value in range(10)})


SAME = {
    "plain": lambda digits: digits,
    "groups": lambda digits: grouped(digits, " "),
    "hyphens": lambda digits: grouped(digits, "-"),
    "every digit": " - ".join,
    "around": lambda digits: f"  {digits} -",
    "odd groups": lambda digits: f"{digits[:1]} {digits[1:3]}-{digits[3:]}",
}
REFUSED = {
    "full width": shifted("０"),
    "Arabic-Indic": shifted("٠"),
    "Devanagari": shifted("०"),
    "mathematical": shifted("𝟎"),
    "superscript": lambda digits: digits[:-1] + "⁰¹²³⁴⁵⁶⁷⁸⁹"[int(digits[-1])],
    "circled": lambda digits: digits[:-1] + "⓪①②③④⑤⑥⑦⑧⑨"[int(digits[-1])],
    "zero width": lambda digits: f"{digits[:8]}\u200b{digits[8:]}",
    "byte-order mark": lambda digits: f"\ufeff{digits}",
    "direction": lambda digits: f"\u202e{digits}\u202c",
    "soft hyphen": lambda digits: f"{digits[:4]}\u00ad{digits[4:]}",
    "no-break spaces": lambda digits: grouped(digits, "\u00a0"),
    "en dashes": lambda digits: grouped(digits, "–"),
    "dots": lambda digits: grouped(digits, "."),
    "plus": lambda digits: f"+{digits}",
    "decimal": lambda digits: f"{digits}.0",
    "exponent": lambda digits: f"{digits[0]}.{digits[1:]}E15",
    "hexadecimal": lambda digits: hex(int(digits)),
    "letter O": lambda digits: f"{digits[:-1]}O",
    "11 digits": lambda digits: digits[:11],
    "20 digits": lambda digits: digits + digits[:4],
    "length of the brand": lambda digits: with_check_digit(digits[:13]),
    "Luhn": lambda digits: digits[:-1] + str((int(digits[-1]) + 1) % 10),
    "zeros": lambda digits: "0" * 16,
    "two numbers": lambda digits: f"{digits} {digits}",
    "very long": lambda digits: digits + " " * 200,
}
PROBLEMS = {str(problem.message) for problem in PANProblem}


@pytest.fixture
def shop():
    return make_user(
        "shop", "vault.tokenize_pan", "vault.search_pan", "vault.view_card", "orders.add_order", is_staff=True
    )


@pytest.mark.parametrize("spelling", SAME)
def test_spaces_and_hyphens_are_the_same_card_everywhere(client, shop, canary, tmp_path, spelling):
    digits = canary("card")
    written = SAME[spelling](digits)
    token = client_of(shop).post("/api/v1/tokens/", {"pan": digits}).json()["token"]
    assert client_of(shop).post("/api/v1/tokens/", {"pan": written}).json()["token"] == token
    assert client_of(shop).post("/api/v1/tokens/search/", {"pan": written}).json()["token"] == token
    client.force_login(shop)
    assert client.post("/admin/vault/card/search/", {"number": written}).status_code == 302
    sent = {"name": "Jug", "description": "", "amount": "1.00", "currency": "EUR", "payment": "new"}
    client.post(
        "/orders/new/",
        sent | {"number": written, "expires": f"{next_year():%m/%y}", "submission": str(uuid.uuid4())},
    )
    assert str(Order.objects.get().card.token) == token
    path = write_csv(tmp_path / "cards.csv", [[written, "", "A-1"]])
    assert imported(path, tmp_path / "tokens.csv")[0] == 0
    assert [row["token"] for row in read_table(tmp_path / "tokens.csv")] == [token]
    assert Card.objects.count() == 1
    path.unlink()


@pytest.mark.parametrize("spelling", REFUSED)
def test_what_is_no_card_number_is_refused_everywhere_and_not_said_again(client, shop, canary, tmp_path, spelling):
    written = REFUSED[spelling](canary("card"))
    batch = {"rows": [{"pan": written}], "continue_on_error": True}
    for path, body in (("", {"pan": written}), ("search/", {"pan": written}), ("batch/", batch)):
        answer = client_of(shop).post(f"/api/v1/tokens/{path}", body)
        assert answer.status_code == (207 if path == "batch/" else 400)
        assert written not in str(answer.json())
        assert [problem for problem in PROBLEMS if problem in answer.text]
    client.force_login(shop)
    sent = {"name": "Jug", "description": "", "amount": "1.00", "currency": "EUR", "payment": "new", "number": written}
    for address, body in (
        ("/orders/new/", sent | {"submission": str(uuid.uuid4())}),
        ("/admin/vault/card/search/", sent),
    ):
        page = client.post(address, body)
        assert page.status_code == 200
        assert written not in page.text
        assert "Check for a mistyped digit" in page.text or "digits" in page.text
    assert not Card.objects.exists()
    assert not Order.objects.exists()


def test_an_import_rejects_each_of_them_by_its_row(canary, tmp_path):
    rows = [[REFUSED[spelling](canary(spelling)), "", spelling] for spelling in REFUSED]
    path = write_csv(tmp_path / "cards.csv", rows)
    code, counts, said = imported(path, tmp_path / "tokens.csv")
    path.unlink()
    assert (code, counts["rejected"], counts["rows"]) == (2, len(REFUSED), len(REFUSED))
    assert not Card.objects.exists()
    assert not any(row[0] in said for row in rows)


# --- Track data (trial B5) ---------------------------------------------------------------------------------------------

TRACKS = {
    "track 1": "%B{}^DOE/JOHN^30121010000000000000?",
    "track 2": ";{}=30121010000000000000?",
    "track 2 without sentinels": "{}=30121010000000000000",
    "track 2 of a chip": "{}D30121010000000000000F",
    "both": "%B{0}^DOE/JOHN^3012101?;{0}=3012101?",
}


@pytest.mark.parametrize("form", TRACKS)
@pytest.mark.parametrize("place", ["name", "description"])
def test_track_data_is_refused_in_a_text(client, shop, canary, form, place):
    content = {"name": "Jug", "description": "x", "amount": "1.00", "currency": "EUR"} | {
        place: TRACKS[form].format(canary("track"))
    }
    answer = client_of(shop).post("/api/v1/orders/", content | {"pan": canary("pan")})
    assert [(each["pointer"], each["code"]) for each in answer.json()["errors"]] == [(f"/{place}", "contains_pan")]
    client.force_login(shop)
    page = client.post("/orders/new/", content | {"payment": "new", "submission": str(uuid.uuid4())})
    assert "This text contains a card number" in page.text
    assert not Order.objects.exists()


@pytest.mark.parametrize("form", ["track 1", "track 2"])
def test_track_data_of_no_known_brand_is_refused_as_well(form):
    text = f"swiped: {TRACKS[form].format(with_check_digit('9' * 15))}"
    assert contains_pan(text)
    assert len(find_pans(text)) == 1
    assert not contains_pan(redact(text))
