"""One card, somebody who asks to see it and somebody who decides."""

import pytest
from django.db import DatabaseError

from tests.factories import make_card, make_user
from tests.vault.admin.identity import FRESH
from vault import reveals
from vault.models import AuditEvent
from vault.purposes import Purpose


@pytest.fixture(autouse=True)
def configured(settings):
    settings.VAULT = settings.VAULT | {"REVEAL_APPROVAL": True, "CONFIRM_IDENTITY": FRESH}


@pytest.fixture
def digits(canary):
    return canary("stored card")


@pytest.fixture
def kept(wire, digits):
    """A card in the vault. `wire` comes first, so that it hears all that is asked of AWS."""
    return make_card(digits)


@pytest.fixture
def ada():
    """Asks."""
    return make_user("ada", "vault.view_card", "vault.detokenize_pan", is_staff=True)


@pytest.fixture
def bob():
    """Decides."""
    return make_user("bob", "vault.approve_reveal", is_staff=True)


@pytest.fixture
def asked(kept, ada):
    return reveals.request(kept, actor=ada, purpose=Purpose("refund", "charged twice"), ticket="T-1")


@pytest.fixture
def approved(asked, bob):
    reveals.approve(asked, actor=bob)
    return asked


@pytest.fixture
def broken(kept, ada):
    """A use of break-glass."""
    return reveals.break_glass(kept, actor=ada, purpose=Purpose("refund", "fire"), ticket="T-911")


@pytest.fixture
def audit_down(monkeypatch):
    """`audit_down()`: from now on the audit log takes no event."""

    def fail(event, **options):
        raise DatabaseError

    return lambda: monkeypatch.setattr(AuditEvent, "save", fail)
