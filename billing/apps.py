from django.apps import AppConfig
from django.contrib.admin import apps as admin


class BillingConfig(AppConfig):
    name = "billing"
    # There are two in this module.
    default = True

    def ready(self) -> None:
        from billing import access_log, borrowed_names, checks, sessions, users  # noqa: F401 - they register themselves

        borrowed_names.translate()


class AdminConfig(admin.AdminConfig):
    default = False
    default_site = "billing.console.AdminSite"
