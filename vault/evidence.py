"""Erasure certificates outside the database: a JSON document that KMS vouches for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from vault import alarms
from vault.audit import audited
from vault.backend import current_vault
from vault.exceptions import RecordTampered
from vault.models import ErasureCertificate
from vault.policy import Actor

_FORGED: Final = "An erasure certificate is not what was signed."

# What the document says beside the signed text, and under which name that text says it.
_REPEATED: Final = {"number": "certificate", "token": "token", "erased_at": "erased_at"}
#: Every name in a document.
MEMBERS: Final = (*_REPEATED, "content", "signature", "key")


def document(certificate: ErasureCertificate) -> dict[str, str]:
    """A certificate as it is handed out: `content` is signed, to the byte; what stands beside it repeats it."""
    erased_at = certificate.card.erased_at
    return {
        "number": certificate.number,
        "token": certificate.card_id,
        "erased_at": erased_at.isoformat() if erased_at else "",
        "content": certificate.content,
        "signature": certificate.signature,
        "key": certificate.key,
    }


def prove(given: Mapping[str, str]) -> None:
    """Return if a document was signed with the key that it names, and says nothing that its signed text does not.

    Whether that key is one to trust is for the caller to know. Raises `RecordTampered`, `VaultSealed`,
    `VaultUnavailable`.
    """
    current_vault().notary.verify(content=given["content"], signature=given["signature"], key=given["key"])
    facts = json.loads(given["content"])
    if any(given[name] != facts[signed] for name, signed in _REPEATED.items()):
        raise RecordTampered


def check(certificate: ErasureCertificate, *, actor: Actor | None) -> None:
    """Prove a certificate of this vault, on record. One that fails raises an alarm. Raises as `prove`."""
    about = {"subject": certificate.number, "token": certificate.card_id}
    with audited("certificate.verify", actor=actor, **about):
        try:
            prove(document(certificate))
        except RecordTampered:
            alarms.sound("certificate.forged", _FORGED, actor=actor, **about)
            raise
