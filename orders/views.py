"""The pages of a customer. Each shows the customer's own things; anything else does not exist."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import InterfaceError, OperationalError, connection
from django.forms import BaseForm
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods

from orders import services
from orders.exceptions import CardExpired, CardNotAvailable, OrderNotCancellable
from orders.forms import OrderForm, PayAgainForm
from orders.models import PUBLIC_ID_PATTERN, Order, Saved, SavedCard
from orders.nextsteps import next_steps
from orders.querysets import OrderQuerySet
from orders.searching import OrderSearch
from orders.timeline import timeline
from vault.exceptions import CardErased, VaultError, VaultUnavailable
from vault.sentences import sentence_of
from vault.services import Status

PAGE_SIZE: Final = 25
RECENT: Final = 5
RETRY_AFTER_SECONDS: Final = "5"
_PUBLIC_ID: Final = re.compile(PUBLIC_ID_PATTERN)


class CustomerRequest(HttpRequest):
    """A request of somebody who is signed in."""

    user: User


_View = Callable[..., HttpResponse]


def customer_page(view: _View) -> _View:
    """A page for customers who are signed in, that no cache and no Back button keeps."""
    return wraps(view)(never_cache(login_required(view)))


@require_GET
@customer_page
def overview(request: CustomerRequest) -> HttpResponse:
    page = Order.objects.for_customer(request.user).with_card_state().page(size=RECENT)
    cards = list(SavedCard.objects.for_customer(request.user).for_list())
    steps = next_steps(request.user, cards=cards, has_orders=bool(page.orders))
    return render(request, "orders/overview.html", {"page": page, "cards": cards, "steps": steps})


@require_GET
@customer_page
def order_list(request: CustomerRequest) -> HttpResponse:
    """A page of the orders that were searched for, next to the one that `before` or `after` names by its public id."""
    own = Order.objects.for_customer(request.user)
    borders = borders_of(request, own)
    search = OrderSearch(request.GET)
    page = search.found_in(own).with_card_state().page(size=PAGE_SIZE, **borders) if search.is_valid() else None
    return render(request, "orders/list.html", {"search": search, "page": page, "is_first": not borders})


@require_GET
@customer_page
def order_detail(request: CustomerRequest, public_id: str) -> HttpResponse:
    order = _own_order(request, public_id)
    return render(request, "orders/detail.html", {"order": order, "timeline": timeline(order)})


@require_GET
@customer_page
def order_receipt(request: CustomerRequest, public_id: str) -> HttpResponse:
    """The order on paper. The first line of `settings.RECEIPT_SELLER` is the seller's name, the others the address."""
    seller = settings.RECEIPT_SELLER.splitlines()
    return render(request, "orders/receipt.html", {"order": _own_order(request, public_id), "seller": seller})


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
@customer_page
def order_new(request: CustomerRequest) -> HttpResponse:
    form = OrderForm(request.user, posted(request))
    return _placed(request, form, "orders/new.html", {}, lambda: services.place(customer=request.user, **form.order()))


@require_http_methods(["GET", "POST"])
@customer_page
def order_pay_again(request: CustomerRequest, public_id: str) -> HttpResponse:
    order = _own_order(request, public_id)
    form = PayAgainForm(request.user, posted(request))
    return _placed(
        request,
        form,
        "orders/pay_again.html",
        {"order": order},
        lambda: services.pay_again(
            order, card=form.cleaned_data["payment"], submission=form.cleaned_data["submission"]
        ),
    )


@require_http_methods(["GET", "POST"])
@customer_page
def order_cancel(request: CustomerRequest, public_id: str) -> HttpResponse:
    order = _own_order(request, public_id)
    if request.method == "GET":
        return render(request, "orders/cancel.html", {"order": order})
    try:
        services.cancel(order)
        messages.success(request, _("The order is cancelled."))
    except OrderNotCancellable as error:
        messages.error(request, str(error))
    return redirect("orders:detail", public_id)


def posted(request: HttpRequest) -> QueryDict | None:
    return request.POST if request.method == "POST" else None


def _own_order(request: CustomerRequest, public_id: str) -> Order:
    order: Order = get_object_or_404(Order.objects.for_customer(request.user).for_list(), public_id=public_id)
    return order


def borders_of(request: HttpRequest, orders: OrderQuerySet) -> dict[str, Any]:
    """The orders that a page of `orders` is next to, as the address names them.

    Raises `Http404`. What cannot name an order is not looked for: it may be a card number.
    """
    named = {side: request.GET[side] for side in ("before", "after") if side in request.GET}
    if not all(map(_PUBLIC_ID.fullmatch, named.values())):
        raise Http404
    return {side: get_object_or_404(orders.as_border(), public_id=public_id) for side, public_id in named.items()}


def _placed(
    request: CustomerRequest, form: BaseForm, template: str, context: dict[str, Any], place: Callable[[], Order]
) -> HttpResponse:
    """Place an order if the form is in order and go to its page; show the form, and what is wrong, otherwise."""
    status, unavailable = HTTPStatus.OK, None
    if form.is_bound and form.is_valid():
        try:
            order = place()
        except ValidationError as error:
            form.add_error(None, error.messages)
        except (CardExpired, CardNotAvailable) as error:
            form.add_error("payment", str(error))
        except CardErased as error:
            form.add_error("payment", sentence_of(error))
        except (VaultError, OperationalError, InterfaceError) as error:
            status, unavailable = HTTPStatus.SERVICE_UNAVAILABLE, error
            form.add_error(None, _explained(error))
            # The page is made on another connection than the one that was lost. A transaction around the request is
            # not ours to end.
            if not connection.in_atomic_block:
                connection.close_if_unusable_or_obsolete()
        else:
            messages.success(request, _("Your order is placed."))
            if order.saved:
                messages.info(request, _kept(order.saved))
            return redirect("orders:detail", order.public_id)
    response = render(request, template, context | {"form": form}, status=status)
    return with_retry(response, unavailable) if unavailable else response


def with_retry(response: HttpResponse, error: Exception) -> HttpResponse:
    """Says when to try again, where that can help."""
    if isinstance(error, VaultUnavailable | OperationalError | InterfaceError):
        response["Retry-After"] = RETRY_AFTER_SECONDS
    return response


def _kept(saved: Saved) -> str:
    """What became of the saved card."""
    said = {
        Status.CREATED: _("%(card)s is saved for your next order."),
        Status.EXISTING: _("%(card)s was saved already."),
        Status.UPDATED: _("%(card)s was saved already. Its expiry is updated to %(expires)s."),
    }[saved.status]
    return said % {"card": saved.card, "expires": f"{saved.card.expires:%m/%Y}" if saved.card.expires else ""}


def _explained(error: VaultError | OperationalError | InterfaceError) -> str:
    """What a customer can do about it. Which part of the vault failed is for the logs."""
    if not isinstance(error, VaultError):
        return _("It is not certain that this was ordered. Please send it again in a few seconds: it is ordered once.")
    if isinstance(error, VaultUnavailable):
        return _("Cards cannot be charged this very moment. Nothing was ordered. Please try again in a few seconds.")
    return _("Cards cannot be charged at the moment. Nothing was ordered. Please try again later.")
