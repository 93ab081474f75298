"""The pages of a customer's saved cards. None of them asks anything of AWS, but the one that removes a card."""

from __future__ import annotations

from http import HTTPStatus

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from orders import savedcards
from orders.exceptions import CardExpired, CardNotAvailable
from orders.forms import NicknameForm
from orders.models import Order, SavedCard
from orders.views import PAGE_SIZE, CustomerRequest, customer_page, posted, with_retry
from vault.exceptions import CardErased, VaultError, VaultUnavailable
from vault.sentences import sentence_of


@require_GET
@customer_page
def card_list(request: CustomerRequest) -> HttpResponse:
    cards = SavedCard.objects.for_customer(request.user).for_list().with_order_counts()
    return render(request, "orders/cards.html", {"cards": cards})


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
@customer_page
def card_detail(request: CustomerRequest, token: str) -> HttpResponse:
    """A card and a page of the orders paid with it, next to the one that `before` or `after` names; a POST renames."""
    card = _own_card(request, token)
    form = NicknameForm(posted(request), initial={"nickname": card.nickname})
    if form.is_bound and form.is_valid():
        try:
            savedcards.rename_card(card, form.cleaned_data["nickname"])
        except CardNotAvailable as error:
            messages.error(request, str(error))
            return redirect("orders:cards")
        messages.success(request, _("The name is saved."))
        return redirect("orders:card", token)
    paid = Order.objects.for_customer(request.user).paid_with(card.token).with_card_state()
    borders = {
        side: get_object_or_404(paid, public_id=request.GET[side])
        for side in ("before", "after")
        if side in request.GET
    }
    page = paid.page(size=PAGE_SIZE, **borders)
    return render(request, "orders/card.html", {"card": card, "form": form, "page": page})


@require_POST
@customer_page
def card_default(request: CustomerRequest, token: str) -> HttpResponse:
    try:
        savedcards.make_default(_own_card(request, token))
        messages.success(request, _("This card is offered first from now on."))
    except CardNotAvailable as error:
        messages.error(request, str(error))
        return redirect("orders:cards")
    except CardExpired as error:
        messages.error(request, str(error))
    except CardErased as error:
        messages.error(request, sentence_of(error))
    return redirect("orders:card", token)


@require_http_methods(["GET", "POST"])
@customer_page
def card_remove(request: CustomerRequest, token: str) -> HttpResponse:
    """Ask, and remove the card. What became of the number is not said: it may be another customer's too."""
    card = _own_card(request, token)
    if request.method == "GET":
        return render(request, "orders/card_remove.html", {"card": card})
    try:
        savedcards.forget_card(card)
    except VaultError as error:
        response = render(
            request,
            "orders/card_remove.html",
            {"card": card, "problem": _not_removed(error)},
            status=HTTPStatus.SERVICE_UNAVAILABLE,
        )
        return with_retry(response, error)
    messages.success(request, _("The card is removed. We do not keep it for you any more."))
    return redirect("orders:cards")


def _own_card(request: CustomerRequest, token: str) -> SavedCard:
    own = SavedCard.objects.for_customer(request.user).for_list().with_order_counts()
    card: SavedCard = get_object_or_404(own, card=token)
    return card


def _not_removed(error: VaultError) -> str:
    """What a customer can do about it. The card is on the list still."""
    if isinstance(error, VaultUnavailable):
        return _("The card cannot be removed this very moment. Please try again in a few seconds.")
    return _("The card cannot be removed at the moment. Please try again later.")
