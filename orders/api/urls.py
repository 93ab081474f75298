"""`/api/v1/orders/`."""

from django.urls import path

from orders.api import views

urlpatterns = [
    path("orders/", views.OrderListView.as_view(), name="orders"),
    path("orders/<str:public_id>/", views.OrderDetailView.as_view(), name="order"),
    path("orders/<str:public_id>/cancel/", views.OrderCancelView.as_view(), name="order_cancel"),
    path("orders/<str:public_id>/pay-again/", views.OrderPayAgainView.as_view(), name="order_pay_again"),
]
