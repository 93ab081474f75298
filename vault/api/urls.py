"""`/api/v1/tokens/`."""

from django.urls import path

from vault.api import views

urlpatterns = [
    path("tokens/", views.TokenListView.as_view(), name="tokens"),
    path("tokens/search/", views.TokenSearchView.as_view(), name="token-search"),
    path("tokens/<str:token>/detokenize/", views.DetokenizationView.as_view(), name="detokenize"),
    path("tokens/<str:token>/", views.TokenView.as_view(), name="token"),
]
