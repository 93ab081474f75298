"""What every ORM call does with a card. docs/pan-field.md is the same table in words."""

import copy
import pickle

import pytest
from django.core import serializers
from django.core.exceptions import FieldError
from django.db import connection, models, transaction
from django.db.models import F, Value
from django.db.models.functions import Concat
from django.forms import modelform_factory

from tests.shop.models import Purchase, Wallet
from vault import services
from vault.exceptions import InvalidPAN, InvalidToken, NotTokenized, TokenNotFound
from vault.fields import PANField, StoredCard
from vault.models import Card
from vault.pan import PAN, Brand
from vault.tokens import Token

pytestmark = pytest.mark.django_db


@pytest.fixture
def digits(canary):
    return canary("field")


@pytest.fixture
def purchase(digits):
    return Purchase.objects.create(card=digits)


def stored(model=Purchase):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT card FROM {model._meta.db_table} ORDER BY id")  # noqa: S608 - our own name
        return [row[0] for row in cursor.fetchall()]


def test_assigned_it_is_a_card_number_and_saved_it_is_a_card(digits):
    purchase = Purchase(card=digits)
    assert isinstance(purchase.card, PAN)
    assert (purchase.card_brand, purchase.card_last4) == ("visa", digits[-4:])
    purchase.save()
    assert isinstance(purchase.card, StoredCard)
    assert stored() == [purchase.card.token.text]
    assert (purchase.card.brand, purchase.card.masked) == (Brand.VISA, f"•••• {digits[-4:]}")
    assert str(purchase.card) == f"Visa •••• {digits[-4:]}"


def test_reading_back_shows_the_same_card_without_the_vault(purchase, wire, django_assert_num_queries):
    with django_assert_num_queries(1):
        again = Purchase.objects.get()
        assert (again.card, again.card.last4, again.card.brand) == (purchase.card, purchase.card.last4, Brand.VISA)
    assert wire.calls.total() == 0
    assert again.card != "x"
    assert len({again.card, purchase.card}) == 1


@pytest.mark.parametrize(
    "assign",
    [
        lambda card: card,
        lambda card: card.token,
        lambda card: card.token.text,
        lambda card: Card.objects.get(token=card.token.text),
    ],
    ids=["stored-card", "token", "text", "card"],
)
def test_a_card_that_is_stored_may_be_assigned_again(purchase, wire, assign):
    other = Purchase.objects.create(card=assign(purchase.card))
    assert (other.card, other.card_last4) == (purchase.card, purchase.card_last4)
    assert wire.calls.total() == 0


@pytest.mark.parametrize("bad", ["hello", 5, "4" * 16, b"x"])
def test_what_is_no_card_is_refused_when_assigned(bad):
    with pytest.raises(InvalidPAN):
        Purchase(card=bad)


def test_a_token_of_no_card_is_refused():
    with pytest.raises(TokenNotFound):
        Purchase(card=Token.generate())


def test_save_with_update_fields_takes_brand_and_last4_along(purchase, canary):
    purchase.card = canary("second")
    with pytest.raises(FieldError):
        purchase.save(update_fields=["card"])
    purchase.save(update_fields=["card", "card_brand", "card_last4"])
    assert Purchase.objects.get().card.last4 == purchase.card_last4
    purchase.note = "x"
    purchase.save(update_fields=["note"])


def test_bulk_create_swaps_all_numbers_in_one_call(canary, wire):
    purchases = Purchase.objects.bulk_create([Purchase(card=canary(str(n))) for n in range(5)])
    assert len(set(stored())) == 5
    assert wire.calls["TransactWriteItems"] == 1
    assert all(each.card_last4 == each.card.last4 for each in purchases)


def test_bulk_create_without_our_queryset_asks_for_each(canary, wire):
    Wallet.objects.bulk_create([Wallet(card=canary(str(n))) for n in range(3)])
    assert len(stored(Wallet)) == 3
    assert wire.calls["TransactWriteItems"] == 3


def test_bulk_update_takes_brand_and_last4_along(purchase, canary):
    purchase.card = canary("second")
    Purchase.objects.bulk_update([purchase], ["card"])
    assert Purchase.objects.get().card_last4 == purchase.card.last4


def test_bulk_update_without_our_queryset_refuses_a_number(canary):
    wallet = Wallet.objects.create(card=canary("one"))
    wallet.card = canary("two")
    with pytest.raises(NotTokenized):
        Wallet.objects.bulk_update([wallet], ["card"])


def test_update_swaps_a_number(purchase, canary):
    digits = canary("second")
    Purchase.objects.update(card=digits)
    assert Purchase.objects.get().card_last4 == digits[-4:]
    Wallet.objects.create()
    assert Wallet.objects.update(card=purchase.card) == 1


def test_update_without_our_queryset_refuses_a_number(canary):
    Wallet.objects.create()
    for value, error in [
        (PAN(canary("x")), NotTokenized),
        (canary("y"), InvalidToken),
        (Value(canary("z")), FieldError),
    ]:
        with pytest.raises(error), transaction.atomic():
            Wallet.objects.update(card=value)
    with pytest.raises(NotTokenized), transaction.atomic():
        Wallet.objects.update(card=Value(PAN(canary("v"))))
    assert stored(Wallet) == [None]


def test_f_copies_a_token_from_a_card_column_and_nothing_else_is_an_expression(canary):
    wallet = Wallet.objects.create(spare=canary("spare"))
    Wallet.objects.update(card=F("spare"))
    wallet.refresh_from_db()
    assert wallet.card == wallet.spare
    for expression in (Concat(F("spare"), Value("x")), F("id")):
        with pytest.raises(FieldError), transaction.atomic():
            Wallet.objects.update(card=expression)
    with pytest.raises(InvalidPAN):
        wallet.card = F("spare")


def test_get_or_create_and_update_or_create_know_the_card(purchase, digits):
    found, is_new = Purchase.objects.get_or_create(card=digits)
    assert (found, is_new) == (purchase, False)
    updated, is_new = Purchase.objects.update_or_create(card=digits, defaults={"note": "n"})
    assert (updated.note, is_new) == ("n", False)


def test_update_or_create_takes_brand_and_last4_of_a_new_card_along(purchase, canary):
    digits = canary("second")
    updated, is_new = Purchase.objects.update_or_create(pk=purchase.pk, defaults={"card": digits})
    created, is_created = Purchase.objects.update_or_create(note="other", defaults={"card": digits})
    assert (is_new, is_created, updated.card) == (False, True, created.card)
    assert set(Purchase.objects.values_list("card_last4", flat=True)) == {digits[-4:]}


def test_update_or_create_without_our_queryset_refuses_a_card_without_its_brand(purchase, canary):
    with pytest.raises(FieldError):
        models.QuerySet(Purchase).update_or_create(pk=purchase.pk, defaults={"card": canary("second")})


def test_get_or_create_creates(digits):
    assert Purchase.objects.get_or_create(card=digits)[1]


@pytest.mark.parametrize("ask", [lambda p, d: {"card": d}, lambda p, d: {"card": PAN(d)}, lambda p, d: {"card": p.card},
                                 lambda p, d: {"card": p.card.token}, lambda p, d: {"card__in": [d, p.card]},
                                 lambda p, d: {"card__isnull": False}])  # fmt: skip
def test_a_card_is_found_by_number_token_or_card(purchase, digits, ask):
    assert Purchase.objects.filter(**ask(purchase, digits)).get() == purchase


def test_a_number_that_is_not_kept_is_not_found_and_not_kept(purchase, canary):
    before = Card.objects.count()
    assert not Purchase.objects.filter(card=canary("unknown")).exists()
    assert not Purchase.objects.filter(card__in=[canary("unknown")]).exists()
    assert Purchase.objects.exclude(card=canary("unknown")).exists()
    assert Card.objects.count() == before


def test_columns_and_subqueries_may_be_compared(purchase):
    assert Purchase.objects.filter(card=F("card")).exists()
    assert Purchase.objects.filter(card__in=Purchase.objects.values("card")).exists()
    with pytest.raises(FieldError):
        Purchase.objects.filter(card=Value("x"))


@pytest.mark.parametrize("lookup", ["startswith", "contains", "regex", "gt", "iexact", "range", "length"])
def test_every_other_lookup_is_refused(lookup):
    with pytest.raises(FieldError):
        Purchase.objects.filter(**{f"card__{lookup}": "4"})


def test_values_give_the_token(purchase):
    token = purchase.card.token.text
    assert list(Purchase.objects.values_list("card", flat=True)) == [token]
    assert Purchase.objects.values("card").get() == {"card": token}


def test_deferred_and_iterated_cards_are_cards(purchase):
    assert Purchase.objects.defer("card").get().card == purchase.card
    assert Purchase.objects.only("card").get().card.last4 == purchase.card_last4
    assert [each.card for each in Purchase.objects.iterator()] == [purchase.card]


def test_copies_and_pickles_hold_the_token_only(purchase, digits):
    for other in (copy.copy(purchase), copy.deepcopy(purchase), pickle.loads(pickle.dumps(purchase))):  # noqa: S301
        assert other.card == purchase.card
    with pytest.raises(TypeError):
        pickle.dumps(Purchase(card=digits))


@pytest.mark.parametrize("form", ["json", "xml"])
def test_dumps_hold_the_token_and_load_again(purchase, form):
    text = serializers.serialize(form, [purchase])
    Purchase.objects.all().delete()
    for loaded in serializers.deserialize(form, text):
        loaded.save()
    assert Purchase.objects.get().card == purchase.card


def test_a_number_that_is_not_saved_is_not_dumped(digits):
    with pytest.raises(NotTokenized):
        serializers.serialize("json", [Purchase(pk=1, card=digits)])


def test_refreshing_gives_the_stored_card_back(purchase, canary):
    before = purchase.card
    purchase.card = canary("other")
    purchase.refresh_from_db()
    assert purchase.card == before


def test_no_card_is_none():
    wallet = Wallet.objects.create(card="")
    assert (wallet.card, Wallet.objects.filter(card__isnull=True).count()) == (None, 1)
    assert Purchase(card=None).card_brand == ""


def test_a_card_without_columns_beside_it_is_described_by_the_vault(digits):
    wallet = Wallet.objects.create(card=digits)
    assert Wallet.objects.get().card.last4 == wallet.card.last4
    assert Wallet.objects.get().card.brand is Brand.VISA


def test_what_somebody_else_wrote_into_the_column_is_refused(purchase):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE shop_purchase SET card = 'not-a-token'")
    with pytest.raises(InvalidToken):
        Purchase.objects.get()


def test_a_model_form_takes_a_number_and_never_shows_it(digits):
    form_class = modelform_factory(Purchase, fields=["card", "note"])
    purchase = form_class({"card": digits}).save()
    assert form_class({"card": "", "note": "n"}, instance=purchase).save().card == purchase.card
    bad = form_class({"card": digits[:-1]})
    assert "card" in bad.errors
    assert digits[:-1] not in bad.as_p()


def test_migrations_are_stable():
    _, path, args, options = Purchase._meta.get_field("card").deconstruct()
    assert (path, args) == ("vault.fields.PANField", [])
    assert options == {"brand_field": "card_brand", "last4_field": "card_last4"}
    assert PANField(*args, **options).deconstruct()[1:] == (path, args, options)
    assert isinstance(PANField(), models.Field)


def test_the_stored_card_opens_through_the_door_alone(purchase, digits, django_user_model):
    from django.contrib.auth.models import Permission

    from vault.exceptions import DetokenizationDenied

    actor = django_user_model.objects.create_user("fraud")
    with pytest.raises(DetokenizationDenied):
        purchase.card.detokenize(actor=actor, purpose="refund: charged twice")
    actor.user_permissions.add(Permission.objects.get(codename="detokenize_pan"))
    assert purchase.card.detokenize(actor=actor, purpose="refund: charged twice") == PAN(digits)
    assert repr(purchase.card) == f"<StoredCard {purchase.card.token}>"


# --- The services below the field ---------------------------------------------------------------------------------


def test_a_known_card_takes_a_new_expiry_over(digits):
    from datetime import date

    first = services.tokenize(PAN(digits), expires=date(2030, 1, 31))
    same = services.tokenize(PAN(digits))
    later = services.tokenize(PAN(digits), expires=date(2033, 1, 31))
    assert [each.status for each in (first, same, later)] == ["created", "existing", "updated"]
    assert services.describe(first.token).expires == date(2033, 1, 31)


def test_an_older_item_put_back_is_refused_and_so_is_an_erased_card(digits, vault, django_user_model):
    from django.contrib.auth.models import Permission

    from vault.exceptions import CardErased, RecordTampered

    token = services.tokenize(PAN(digits)).token
    actor = django_user_model.objects.create_user("fraud")
    actor.user_permissions.add(Permission.objects.get(codename="detokenize_pan"))
    Card.objects.update(item_digest="0" * 64)
    with pytest.raises(RecordTampered):
        services.detokenize(token, actor=actor, purpose="refund: charged twice")
    Card.objects.update(status=Card.Status.ERASED)
    with pytest.raises(CardErased):
        services.detokenize(token, actor=actor, purpose="refund: charged twice")
    Card.objects.all().delete()
    with pytest.raises(TokenNotFound):
        services.detokenize(token, actor=actor, purpose="refund: charged twice")
    # The row comes back with what the table says.
    assert services.tokenize(PAN(digits)).card.item_version == 1
