"""`/api/v1/tokens/`."""

from django.urls import path

from vault.api import views
from vault.api.batches import DetokenizationBatchView, TokenBatchView

urlpatterns = [
    path("tokens/", views.TokenListView.as_view(), name="tokens"),
    path("tokens/batch/", TokenBatchView.as_view(), name="token-batch"),
    path("tokens/detokenize/", DetokenizationBatchView.as_view(), name="detokenize-batch"),
    path("tokens/search/", views.TokenSearchView.as_view(), name="token-search"),
    path("tokens/<str:token>/detokenize/", views.DetokenizationView.as_view(), name="detokenize"),
    path("tokens/<str:token>/", views.TokenView.as_view(), name="token"),
]
