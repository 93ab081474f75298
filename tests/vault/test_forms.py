import re
from datetime import date

import pytest
from django import forms
from django.contrib.auth.models import Group

from vault.exceptions import PANProblem
from vault.forms import PAN_MESSAGES, ExpiryFormField, PANFormField
from vault.pan import PAN
from vault.validators import NoPANValidator, validate_no_pan


class CardForm(forms.Form):
    card = PANFormField()
    expires = ExpiryFormField()


def test_clean_values_are_a_card_number_and_a_day(canary):
    digits = canary("form")
    form = CardForm({"card": digits, "expires": "12/99"})
    assert form.is_valid()
    assert form.cleaned_data == {"card": PAN(digits), "expires": date(2099, 12, 31)}


@pytest.mark.parametrize(
    ("text", "problem"), [("", "EMPTY"), ("4x", "CHARACTERS"), ("41", "LENGTH"), ("4" * 16, "CHECKSUM")]
)
def test_errors_are_constants_and_nothing_is_shown_again(text, problem):
    form = CardForm({"card": text, "expires": "99/99"})
    assert form.errors["card"] == [PANProblem[problem].message]
    assert 'value="' not in str(form["card"]) + str(form["expires"])


def test_what_is_wrong_is_said_in_the_words_of_the_vault():
    assert {problem: problem.message for problem in PANProblem} == PAN_MESSAGES


def test_the_fields_are_made_for_a_card():
    form = CardForm()
    number, expires = str(form["card"]), str(form["expires"])
    assert 'autocomplete="cc-number"' in number
    assert 'autocomplete="cc-exp"' in expires
    for field in (number, expires):
        for attribute in ('inputmode="numeric"', 'spellcheck="false"', 'autocorrect="off"'):
            assert attribute in field
    # Between the two stands its integrity.
    assert re.search(r'src="/static/vault/card-typing\.js" integrity="sha384-[^"]{64}" type="module"', str(form.media))


@pytest.mark.parametrize(("text", "code"), [("", "required"), ("soon", "invalid"), ("01/20", "expired")])
def test_expiry_errors(text, code):
    form = CardForm({"expires": text})
    assert form.errors.as_data()["expires"][0].code == code


def test_an_initial_value_is_not_shown_and_may_be_kept(canary):
    form = CardForm({"expires": "12/99"}, initial={"card": PAN(canary("initial"))})
    assert form.is_valid()
    assert "value=" not in str(form["card"])
    assert not PANFormField().has_changed(None, "")


def test_a_card_number_in_other_text_is_refused_and_not_quoted(canary):
    with pytest.raises(forms.ValidationError) as caught:
        validate_no_pan(f"my card {canary('text')}")
    assert caught.value.code == "contains_pan"
    validate_no_pan("order 12")
    assert len({NoPANValidator(), validate_no_pan}) == 1


class ChoiceForm(forms.Form):
    one = forms.ChoiceField(choices=[("a", "A")])
    many = forms.MultipleChoiceField(choices=[("a", "A")])
    group = forms.ModelChoiceField(Group.objects)
    groups = forms.ModelMultipleChoiceField(Group.objects)


@pytest.mark.django_db
def test_a_card_number_in_the_place_of_a_choice_is_neither_quoted_nor_looked_for(canary):
    digits = canary("choice")
    form = ChoiceForm(dict.fromkeys(ChoiceForm.base_fields, digits) | {"many": ["a", digits], "groups": [digits]})
    assert form.errors.keys() == ChoiceForm.base_fields.keys()
    assert digits not in form.errors.as_json() + str(form)


@pytest.mark.django_db
@pytest.mark.parametrize("number", ["9" * 40, "-" + "9" * 19, "９" * 40, "1_" * 20 + "1"])
def test_a_number_that_no_key_is_as_large_as_is_no_choice(number):
    form = ChoiceForm({"one": "a", "many": ["a"], "group": number, "groups": [number]})
    assert form.errors.keys() == {"group", "groups"}


@pytest.mark.django_db
def test_a_choice_that_there_is_not_is_quoted_as_before():
    group = Group.objects.create(name="Night shift")
    form = ChoiceForm({"one": "b", "many": ["a"], "group": group.pk, "groups": [group.pk]})
    assert form.errors == {"one": ["Select a valid choice. b is not one of the available choices."]}
    assert form.cleaned_data["group"] == group
