from allauth.mfa import apps as mfa
from django.apps import AppConfig
from django.contrib.admin import apps as admin
from django.utils.translation import gettext_lazy as _


class BillingConfig(AppConfig):
    name = "billing"
    # There are two in this module.
    default = True

    def ready(self) -> None:
        from django.conf import settings

        from billing import access_log, borrowed_names, checks, core_dumps, sessions, users  # noqa: F401 - they register
        from billing.settings.environment import env

        # Settings of somebody's own may have been made from `base` alone.
        env.complete()
        # Servers and commands alike, before the first of them has seen a card.
        if checks.has_real_cards():
            core_dumps.forbid()
        borrowed_names.translate()
        if settings.SENTRY_DSN:
            # Its client is imported for this alone.
            from billing import crash_reports

            crash_reports.start(settings.SENTRY_DSN)


class AdminConfig(admin.AdminConfig):
    default = False
    default_site = "billing.console.AdminSite"


class TokensConfig(AppConfig):
    """Whose heading says what it is for, and not who wrote it."""

    default = False
    name = "knox"
    verbose_name = _("API access")


class FactorsConfig(mfa.MFAConfig):  # type: ignore[misc]
    default = False
    verbose_name = _("Second factors")
