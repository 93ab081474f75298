"""`vault_adopt`: what it does to rows, what it reports, what it refuses, and what it leaves alone."""

import uuid
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from tests.cards import grouped
from tests.shop.models import Booking, CreditInvoice, Invoice, Purchase, Voucher
from vault import services
from vault.backend import current_vault
from vault.exceptions import VaultSealed
from vault.management.commands import vault_adopt
from vault.models import AuditEvent, Card
from vault.pan import PAN

pytestmark = pytest.mark.django_db


def invoice(row):
    return Invoice._base_manager.get(pk=row.pk)


def test_every_row_gets_its_token_with_brand_and_last_four(before, adopt):
    rows = [before.row() for _ in range(7)]
    assert adopt("--batch", "3") == (0, {"counts": {"adopted": 7}, "left": 0, "rows": []})
    for row, number in rows:
        adopted = invoice(row)
        assert adopted.card.token == services.find(PAN(number))
        assert (adopted.card_brand, adopted.card_last4) == ("visa", number[-4:])
        assert adopted.card_number == number


@pytest.mark.parametrize("mode", [[], ["--refresh"], ["--check"], ["--wipe"]], ids=" ".join)
def test_no_statement_of_a_run_has_a_digit_of_a_card_in_it(before, adopt, mode):
    # The leak scanner listens to statements too; here nobody need believe it.
    number = before.row()[1]
    if mode:
        adopt()
    sent = []

    def listen(execute, sql, params, many, context):
        sent.append(f"{sql} {params}")
        return execute(sql, params, many, context)

    with connections["default"].execute_wrapper(listen), connections["audit"].execute_wrapper(listen):
        assert adopt(*mode)[0] == 0
    assert any("shop_invoice" in statement for statement in sent)
    assert not any(number[6:-4] in statement for statement in sent)


def test_one_card_in_many_rows_is_kept_once(before, adopt):
    row, number = before.row()
    others = [before.row(number=number, text=grouped(number, separator))[0] for separator in " -"]
    assert adopt("--batch", "2")[0] == 0
    assert len({invoice(each).card.token for each in (row, *others)}) == 1
    assert Card.objects.get().is_external is False


@pytest.mark.parametrize("text", ["", " ", "-"])
def test_an_empty_value_is_skipped(adopt, text):
    row = Invoice.objects.create(card_number=text)
    assert adopt() == (0, {"counts": {"empty": 1}, "left": 0, "rows": []})
    assert adopt("--check")[0] == 0
    assert invoice(row).card is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda number: number[:-1], "This card number has the wrong number of digits."),
        (lambda number: f"{number[:-1]}{(int(number[-1]) + 1) % 10}", "This is not a valid card number. Check for a mistyped digit."),
        (lambda number: f"{number[:4]}xxxx", "A card number has digits only; spaces and hyphens may separate them."),
    ],
)  # fmt: skip
def test_what_is_no_card_number_is_listed_by_key_and_reason(before, adopt, change, reason):
    row = Invoice.objects.create(card_number=change(before.number()))
    code, report = adopt()
    assert (code, report["left"]) == (2, 1)
    assert report["rows"] == [{"pk": str(row.pk), "state": "invalid", "reason": reason}]
    assert invoice(row).card is None
    assert not Card.objects.exists()


def test_a_run_does_only_what_is_left(before, adopt):
    before.row()
    adopt()
    before.row()
    assert adopt()[1]["counts"] == {"adopted": 1}
    assert adopt()[1]["counts"] == {}


def test_a_card_that_somebody_assigned_is_not_written_over(before, adopt, canary):
    row, _ = before.row()
    assigned = invoice(row)
    assigned.card = canary("new code")
    assigned.save(update_fields=["card", "card_brand", "card_last4"])
    assert adopt() == (0, {"counts": {}, "left": 0, "rows": []})
    assert invoice(row).card == assigned.card


def test_a_dry_run_counts_and_does_nothing(before, adopt, wire):
    before.row()
    Invoice.objects.create(card_number="none")
    code, report = adopt("--dry-run")
    assert (code, report["counts"]) == (2, {"waiting": 1, "invalid": 1})
    assert not wire.calls
    assert not AuditEvent.objects.exists()
    assert not Invoice.objects.filter(card__isnull=False).exists()


# --- Check and refresh ---------------------------------------------------------------------------------------------


def test_a_check_finds_what_is_not_adopted_and_keeps_nothing(before, adopt):
    row, number = before.row()
    code, report = adopt("--check")
    assert (code, report["rows"]) == (2, [{"pk": str(row.pk), "state": "missing", "reason": "Not adopted yet."}])
    assert services.find(PAN(number)) is None


def test_a_row_that_changed_after_its_adoption_differs_until_it_is_refreshed(before, adopt):
    row, _ = before.row()
    before.row()
    adopt()
    number = before.number()
    before.change(row, number)
    code, report = adopt("--check")
    assert (code, report["counts"]) == (2, {"agrees": 1, "differs": 1})
    assert [each["pk"] for each in report["rows"]] == [str(row.pk)]
    assert services.find(PAN(number)) is None
    # Without being told, a run writes over no card.
    assert adopt() == (0, {"counts": {}, "left": 0, "rows": []})
    assert adopt("--refresh") == (0, {"counts": {"adopted": 1, "agrees": 1}, "left": 0, "rows": []})
    assert invoice(row).card_last4 == number[-4:]
    assert adopt("--check")[0] == 0


def test_an_old_value_of_a_card_that_was_erased_is_found(before, adopt):
    row, _ = before.row()
    adopt()
    current_vault().store.remove(invoice(row).card.token)
    code, report = adopt("--check")
    assert (code, report["counts"]) == (2, {"differs": 1})
    assert report["rows"][0]["reason"] == "The new column does not hold the card of the old one."


def test_a_column_that_holds_no_token_differs(before, adopt):
    row, _ = before.row()
    with connections["default"].cursor() as cursor:
        cursor.execute("UPDATE shop_invoice SET card = 'nonsense' WHERE id = %s", [row.pk])
    assert adopt("--check")[1]["counts"] == {"differs": 1}
    assert adopt("--refresh")[0] == 0
    assert adopt("--check")[0] == 0


# --- Wipe ----------------------------------------------------------------------------------------------------------


def test_a_wipe_empties_the_old_column_where_both_agree(before, adopt):
    # Nothing is allowed here: the scanner finds the number in no table any more.
    row, _ = before.row(stays=False)
    adopt()
    invalid = Invoice.objects.create(card_number="none")
    code, report = adopt("--wipe")
    assert (code, report["counts"]) == (2, {"wiped": 1, "invalid": 1})
    assert (invoice(row).card_number, invoice(invalid).card_number) == ("", "none")
    assert invoice(row).card is not None
    Invoice.objects.filter(pk=invalid.pk).delete()
    assert adopt("--wipe") == (0, {"counts": {"empty": 1}, "left": 0, "rows": []})


def test_a_wipe_leaves_what_is_not_adopted_or_differs(before, adopt):
    changed, _ = before.row()
    adopt()
    number = before.number()
    before.change(changed, number)
    missing, other = before.row()
    code, report = adopt("--wipe")
    assert (code, report["counts"]) == (2, {"missing": 1, "differs": 1})
    assert (invoice(changed).card_number, invoice(missing).card_number) == (number, other)


def test_a_column_that_may_be_null_is_wiped_to_null(before, adopt):
    row, _ = before.row(Booking, stays=False)
    assert adopt(column="shop.Booking.number")[0] == 0
    assert adopt("--wipe", column="shop.Booking.number")[0] == 0
    assert Booking.objects.get(pk=row.pk).number is None


# --- Models of every kind ------------------------------------------------------------------------------------------


def test_keys_may_be_uuids(before, adopt):
    rows = [before.row(Booking, pk=uuid.uuid4()) for _ in range(7)]
    assert adopt("--batch", "2", column="shop.Booking.number")[1]["counts"] == {"adopted": 7}
    assert adopt("--check", "--batch", "3", column="shop.Booking.number")[1]["counts"] == {"agrees": 7}
    for row, number in rows:
        assert Booking.objects.get(pk=row.pk).card.token == services.find(PAN(number))


def test_keys_may_be_text(before, adopt):
    for code in ("b", "a", "É", "_", "a b"):
        before.row(Voucher, code=code)
    assert adopt("--to", "card", "--batch", "1", column="shop.Voucher.number")[1]["counts"] == {"adopted": 5}
    assert adopt("--to", "card", "--check", "--batch", "2", column="shop.Voucher.number")[1]["counts"] == {"agrees": 5}
    assert not Voucher.objects.filter(spare__isnull=False).exists()


def test_a_key_with_a_card_number_in_it_is_masked(before, adopt):
    Voucher.objects.create(code="voucher", number="none")
    number = before.number()
    Voucher.objects.filter(code="voucher").update(code=number)
    code, report = adopt("--to", "card", column="shop.Voucher.number")
    assert code == 2
    assert number not in str(report)


def test_rows_that_the_manager_hides_are_adopted_too(before, adopt):
    row, _ = before.row(is_archived=True)
    assert not Invoice.objects.exists()
    assert adopt()[1]["counts"] == {"adopted": 1}
    assert invoice(row).card is not None


def test_a_child_of_multi_table_inheritance_is_adopted_through_its_parent(before, adopt):
    before.row()
    row, _ = before.row(CreditInvoice)
    assert adopt("--dry-run", column="shop.CreditInvoice.card_number")[1]["counts"] == {"waiting": 1}
    assert adopt(column="shop.CreditInvoice.card_number")[1]["counts"] == {"adopted": 1}
    assert adopt("--check", column="shop.CreditInvoice.card_number")[1]["counts"] == {"agrees": 1}
    assert invoice(row).card_last4
    assert adopt("--wipe", column="shop.CreditInvoice.card_number")[1]["counts"] == {"wiped": 1}
    assert invoice(row).card_number == ""


# --- Refusals and reports ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["card_number"], "Name the old column as app.Model.field."),
        (["shop.Nothing.card_number"], "There is no such model."),
        (["nothing.Invoice.card_number"], "There is no such model."),
        (["shop.Invoice.nothing"], "The model has no such field."),
        (["shop.Invoice.creditinvoice"], "The model has no such field."),
        (["shop.Invoice.is_archived"], "The old field has to be a CharField or a TextField."),
        (["shop.Wallet.card", "--to", "spare"], "The old field has to be a CharField or a TextField."),
        (["shop.Invoice.card"], "The old field and the new one are the same."),
        (["shop.Invoice.card_number", "--to", "card_last4"], "The new field has to be a PANField."),
        (["shop.Invoice.card_number", "--to", "nothing"], "The model has no such field."),
        (["shop.Invoice.card_number", "--database", "nothing"], "There is no such database in the settings."),
        (["shop.Voucher.number"], "The model has more than one PANField. Name the new one with --to."),
        (["shop.Voucher.code", "--to", "card"], "A primary key of card numbers cannot be adopted: other tables refer to it."),
        (["shop.Voucher.number", "--to", "card", "--wipe"], "The old field is unique and not nullable, so that it cannot be empty in two rows."),
        (["shop.Purchase.note"], "The new field has to allow null until the adoption is done."),
        (["auth.User.first_name"], "The model has no PANField. Add one that allows null."),
        (["shop.Invoice.card_number", "--batch", "0"], vault_adopt._OUT_OF_RANGE),
        (["shop.Invoice.card_number", "--rate", "0"], vault_adopt._OUT_OF_RANGE),
        (["shop.Invoice.card_number", "--list", "-1"], vault_adopt._OUT_OF_RANGE),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)  # fmt: skip
def test_what_cannot_be_adopted_is_refused(arguments, sentence):
    with pytest.raises(CommandError) as refusal:
        call_command("vault_adopt", *arguments)
    assert (str(refusal.value), refusal.value.returncode) == (sentence, 1)
    assert not AuditEvent.objects.exists()
    assert not Purchase.objects.exists()


def test_a_report_for_people(before):
    before.row()
    for _ in range(3):
        Invoice.objects.create(card_number="none")
    output = StringIO()
    with pytest.raises(CommandError, match="Rows are left."):
        call_command("vault_adopt", "shop.Invoice.card_number", "--list", "1", stdout=output)
    first, more, counts = output.getvalue().splitlines()
    assert first.endswith("invalid  A card number has digits only; spaces and hyphens may separate them.")
    assert more == "2 more are not listed."
    assert counts == "Rows: 1 adopted, 3 no card number."


def test_a_run_is_an_event_with_its_counts(before, adopt):
    before.row()
    Invoice.objects.create(card_number="none")
    adopt()
    intent, done = AuditEvent.objects.filter(operation="adopt").order_by("pk")
    assert (intent.outcome, intent.subject) == ("intent", "shop.Invoice.card_number")
    assert intent.details == {"mode": "adopt", "into": "card", "database": "default"}
    assert done.outcome == "done"
    assert (done.details["adopted"], done.details["invalid"]) == (1, 1)
    assert AuditEvent.objects.filter(operation="tokenize", outcome="done").count() == 1


def test_a_check_is_an_event_and_so_are_its_look_ups(before, adopt):
    row, _ = before.row()
    adopt()
    adopt("--check")
    assert AuditEvent.objects.filter(operation="adopt", outcome="done").count() == 2
    found = AuditEvent.objects.get(operation="find", outcome="done")
    assert (found.cards, found.details["tokens"]) == (1, [invoice(row).card.token.text])


def test_a_vault_that_is_sealed_ends_the_run(before, wire):
    before.row()
    wire.fail("BatchGetItem", "AccessDeniedException")
    with pytest.raises(CommandError) as refusal:
        call_command("vault_adopt", "shop.Invoice.card_number")
    assert refusal.value.returncode == 1
    assert VaultSealed().message in str(refusal.value)
    assert Invoice.objects.get().card is None
