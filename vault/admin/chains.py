"""Above the audit log: whether it hangs together, as far as somebody looked, and a button to look again."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from vault import alarms
from vault.audit import audited
from vault.audit.chain import EDITED, MISSING, REPEATED, UNKNOWN_CHAIN, UNLINKED, UNSEALED
from vault.audit.standing import LOOKED_AT, NEWEST, note, standing
from vault.audit.verification import verify_newest
from vault.models import Run

#: How many events the button looks at: seconds, and not minutes.
COUNT: Final = 1_000

_BROKEN: Final = "The newest events of the audit log do not hold together."
_HELD: Final = _("The newest %(count)d events hang together.")
# As `vault.audit.chain` says them, for people.
_PROBLEMS: Final = {
    EDITED: _("this row was changed after it was written"),
    MISSING: _("the row that should stand before this one is missing or stands elsewhere"),
    UNLINKED: _("this row does not follow the one before it: one of the two was changed, inserted or moved"),
    REPEATED: _("this row stands where another one was, or was moved"),
    UNKNOWN_CHAIN: _("this row begins a chain that was never opened"),
    UNSEALED: _("a sealed row is missing or is not the one that was sealed"),
}


class ChainMixin(ModelAdmin):  # type: ignore[type-arg,misc,unused-ignore]  # no parameters when it runs
    """The state of the chain in the list of events, for those who may read it."""

    def get_urls(self) -> list[URLPattern]:
        own = path("verify/", self.admin_site.admin_view(self.verify_view), name="vault_auditevent_verify")
        return [own, *super().get_urls()]

    def refuse_verifying(self, request: HttpRequest) -> None:
        """Record somebody without the right, and raise `PermissionDenied`."""
        raise NotImplementedError

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        now = standing()
        own = {
            "standing": now,
            "is_long_unsealed": now.unsealed >= LOOKED_AT,
            "broken_row": now.broken.position.get("row") if now.broken else None,
            "problem": _problem(now.broken),
            "verified_count": COUNT,
        }
        return super().changelist_view(request, {**own, **(extra_context or {})})

    @method_decorator(require_POST)
    def verify_view(self, request: HttpRequest) -> HttpResponse:
        """Look at the newest events now, keep what was found, and raise an alarm over a break."""
        self.refuse_verifying(request)
        started_at = timezone.now()
        with audited("audit.verify", actor=request.user, subject="newest", newest=COUNT) as outcome:
            found = verify_newest(COUNT)
            outcome |= {"events": found.events, "breaks": len(found.breaks)}
        note(NEWEST, started_at, found)
        if found.breaks:
            # The list says it, and goes on saying it.
            alarms.sound("audit.broken", _BROKEN, actor=request.user, first_row=found.breaks[0].row)
        else:
            messages.success(request, _HELD % {"count": found.events})
        return HttpResponseRedirect(reverse("admin:vault_auditevent_changelist"))


def _problem(broken: Run | None) -> Any:
    said = broken.position.get("problem", "") if broken else ""
    return _PROBLEMS.get(said, said)
