"""What a project could answer to the question whether somebody has just shown who they are."""

from django.http import HttpResponseRedirect

FRESH = "tests.vault.admin.identity.is_fresh"
STALE = "tests.vault.admin.identity.is_stale"
SIGN_IN = "/accounts/reauthenticate/"


def is_fresh(request):
    return None


def is_stale(request):
    return HttpResponseRedirect(f"{SIGN_IN}?next={request.path}")
