from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        from billing import access_log, checks, sessions, users  # noqa: F401 - they register themselves
