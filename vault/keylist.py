"""The list of keys in SQL, as the vault of this process uses it."""

from __future__ import annotations

from django.db import Error as DatabaseError

from vault.conf import VaultConfig
from vault.exceptions import VaultSealed, VaultUnavailable
from vault.keyring import CardKey, KeyRing
from vault.models import Key


def key_ring(config: VaultConfig) -> KeyRing:
    """The keys that may be used now; without a list, the ones that the settings name.

    Raises `VaultUnavailable` if the list cannot be read, `VaultSealed` if no key on it may seal.
    """
    try:
        # One query: somebody may begin or change the list between two.
        keys = list(Key.objects.all())
    except DatabaseError:
        raise VaultUnavailable from None
    if not keys:
        named = CardKey(config.CARD_KEY)
        return KeyRing(sealing=named, opening=(named,))
    live = [key for key in keys if key.state != Key.State.RETIRED]
    cards = [key for key in live if key.purpose == Key.Purpose.CARD]
    prints = [key for key in live if key.purpose == Key.Purpose.FINGERPRINT]
    active = [key for key in cards if key.state == Key.State.ACTIVE]
    # The active version first: it is the one that every card has.
    written = [key.number for state in (Key.State.ACTIVE, Key.State.NEXT) for key in prints if key.state == state]
    if len(active) != 1 or not written:
        raise VaultSealed
    return KeyRing(
        sealing=_card_key(active[0]),
        opening=tuple(_card_key(key) for key in cards),
        written=tuple(written),
        recognized=(*written, *(key.number for key in prints if key.state == Key.State.OLD)),
        renewed=active[0].renewed_at,
    )


def listed_arns() -> set[str]:
    """The ARNs of all keys on the list, retired ones among them. Raises `VaultUnavailable`."""
    try:
        return set(Key.objects.values_list("arn", flat=True))
    except DatabaseError:
        raise VaultUnavailable from None


def _card_key(key: Key) -> CardKey:
    return CardKey.of(key.arn, is_first=key.number == 1)
