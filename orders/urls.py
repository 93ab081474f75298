"""The pages of a customer."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from orders import cardviews, views
from orders.models import PUBLIC_ID_PATTERN
from vault.tokens import PATTERN


class PublicIDConverter(StringConverter):
    regex = PUBLIC_ID_PATTERN


class TokenConverter(StringConverter):
    regex = PATTERN


register_converter(PublicIDConverter, "order")
register_converter(TokenConverter, "token")

app_name = "orders"
urlpatterns = [
    path("", views.overview, name="overview"),
    path("orders/", views.order_list, name="list"),
    path("orders/new/", views.order_new, name="new"),
    path("orders/<order:public_id>/", views.order_detail, name="detail"),
    path("orders/<order:public_id>/receipt/", views.order_receipt, name="receipt"),
    path("orders/<order:public_id>/pay-again/", views.order_pay_again, name="pay_again"),
    path("orders/<order:public_id>/cancel/", views.order_cancel, name="cancel"),
    path("cards/", cardviews.card_list, name="cards"),
    path("cards/<token:token>/", cardviews.card_detail, name="card"),
    path("cards/<token:token>/default/", cardviews.card_default, name="card_default"),
    path("cards/<token:token>/remove/", cardviews.card_remove, name="card_remove"),
]
