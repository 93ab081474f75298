from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class VaultConfig(AppConfig):
    name = "vault"
    verbose_name = _("Card vault")

    def ready(self) -> None:
        from vault import checks  # noqa: F401 - registers itself
        from vault.api.fields import map_to_serializers

        map_to_serializers()
