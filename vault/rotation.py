"""Changing keys: which seals from now on, which only opens, and which is done with (PCI DSS 3.7.4, 3.7.5)."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.utils import timezone

from vault.audit import audited
from vault.backend import Vault
from vault.census import Census, take
from vault.conf import VaultConfig
from vault.exceptions import KeyInUse, KeyListTooYoung, VaultError
from vault.keyring import CardKey
from vault.kmskeys import CARD_KEY_ALGORITHM, KMSKeys
from vault.models import Key
from vault.pace import silent

_CARD: Final = Key.Purpose.CARD
_FINGERPRINT: Final = Key.Purpose.FINGERPRINT


class NoSuchKey(VaultError):
    """No key with this number is on the list in a state in which this can be done. See vault_keys."""


class KeyOnList(VaultError):
    """This KMS key is on the list already. A key that was used before is not used again."""


class KeyOfAnotherKind(VaultError):
    """A card key must be a symmetric KMS key for encryption. Nothing was changed."""


class RotationUnderWay(VaultError):
    """The fingerprint key is being rotated already. Run vault_reencrypt, then promote the next one."""


class Rotation:
    """Changes the list of keys of one vault. Everything it does is audited.

    :param sleep: waits for seconds; tests give their own
    """

    def __init__(self, vault: Vault, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._vault = vault
        self._config: VaultConfig = vault.config
        self._session = vault.session
        self._kms = KMSKeys(vault.session.kms())
        self._sleep = sleep

    def rotate_card_key(self, *, arn: str = "") -> Key:
        """Seal under a new KMS key from now on: the one given, or one made after the image of the old.

        The old one goes on opening. An alias in the settings follows. Run again after a crash it finishes that first.
        Raises `KeyOnList`, `KeyOfAnotherKind`, `NoSuchKey` if somebody else was faster, and as `aws_boundary`.
        """
        with audited("key.rotate", subject="card") as outcome:
            self._begin_list()
            active = self._one(_CARD, Key.State.ACTIVE)
            if self._is_alias_behind(active):
                self._move_alias(active)
                outcome["finished"] = active.arn
                return active
            new = self._session.key_arn(arn) if arn else self._kms.create_like(active.arn)
            if Key.objects.filter(arn=new).exists():
                raise KeyOnList
            self._session.require_key(new)
            if self._kms.describe(new).algorithm != CARD_KEY_ALGORITHM:
                raise KeyOfAnotherKind
            # Before anybody seals under it: roles that may use keys by their tags would be refused.
            self._kms.tag_like(new, active.arn)
            with transaction.atomic(durable=True):
                self._change(active, Key.State.OLD)
                key = self._add(_CARD, new, Key.State.ACTIVE)
            self._vault.reload_keys()
            self._move_alias(key)
            outcome["key"] = new
        return key

    def renew_data_keys(self) -> None:
        """Let every process ask KMS for a new data key, within KEYS_MAX_AGE."""
        with audited("key.renew", subject="card"):
            self._begin_list()
            Key.objects.filter(purpose=_CARD, state=Key.State.ACTIVE).update(renewed_at=timezone.now())
            self._vault.reload_keys()

    def add_fingerprint_key(self) -> Key:
        """Begin to write every card under a new fingerprint as well. Cards are recognized by the old ones as before.

        Raises `RotationUnderWay`.
        """
        with audited("key.rotate", subject="fingerprint") as outcome:
            self._begin_list()
            with transaction.atomic(durable=True):
                # The rows are the lock: of two who begin at once the second finds the key of the first.
                listed = {key.state: key for key in Key.objects.select_for_update().filter(purpose=_FINGERPRINT)}
                if Key.State.NEXT in listed:
                    raise RotationUnderWay
                active = listed[Key.State.ACTIVE]
                number = self._next_number(_FINGERPRINT)
                # First the secret, then the list: a process that reads the list finds it.
                self._vault.fingerprint_keys.create(number)
                key = self._add(_FINGERPRINT, active.arn, Key.State.NEXT, number=number)
            self._vault.reload_keys()
            outcome["number"] = number
        return key

    def promote_fingerprint_key(self, *, seen: Callable[[int], object] = silent) -> Key:
        """Write cards under the new fingerprint alone, once a scan has shown that every card has it.

        Raises `NoSuchKey`, `KeyListTooYoung`, and `KeyInUse` while there is a card that only the old one recognizes.
        """
        with audited("key.promote", subject="fingerprint") as outcome:
            key = self._one(_FINGERPRINT, Key.State.NEXT)
            self._require_known(key)
            census = take(self._vault.store, seen=seen)
            if census.found_by[key.number] < census.all_cards or census.fingerprints[key.number] < census.all_cards:
                raise KeyInUse
            with transaction.atomic(durable=True):
                self._change(self._one(_FINGERPRINT, Key.State.ACTIVE), Key.State.OLD)
                self._change(key, Key.State.ACTIVE)
            self._vault.reload_keys()
            outcome.update({"number": key.number, "cards": census.all_cards})
        return key

    def retire(
        self,
        purpose: str,
        number: int,
        *,
        disable: bool = False,
        seen: Callable[[int], object] = silent,
    ) -> Census:
        """Take a key off the list for good, once a scan has shown that nothing is under it; what the scan counted.

        A fingerprint secret is destroyed with it; a KMS key is disabled if asked for. Run again after a crash it
        finishes that. Raises `NoSuchKey`, `KeyListTooYoung`, `KeyInUse`.
        """
        with audited("key.retire", subject=f"{purpose} {number}") as outcome:
            done = (Key.State.OLD, Key.State.RETIRED)
            key = Key.objects.filter(purpose=purpose, number=number, state__in=done).first()
            if key is None:
                raise NoSuchKey
            if key.state == Key.State.OLD:
                self._require_known(key)
            census = take(self._vault.store, seen=seen)
            if items_under(key, census) or census.unclear:
                raise KeyInUse
            if key.state == Key.State.OLD:
                self._change(key, Key.State.RETIRED)
            self._vault.reload_keys()
            if key.purpose == _FINGERPRINT:
                self._vault.fingerprint_keys.destroy(key.number)
            elif disable:
                self._kms.disable(key.arn)
            outcome.update({"key": key.arn, "items": 0, "scanned": census.all_cards})
        return census

    # --- The list --------------------------------------------------------------------------------------------------

    def _begin_list(self) -> None:
        """Write down the keys that the settings name, if there is no list yet."""
        if Key.objects.exists():
            return
        named = {_CARD: self._config.CARD_KEY, _FINGERPRINT: self._config.FINGERPRINT_KEY}
        arns = {purpose: self._session.key_arn(name) for purpose, name in named.items()}
        # Somebody else may begin it at the same time; then theirs stands, which is the same.
        with suppress(IntegrityError), transaction.atomic(durable=True):
            for purpose, arn in arns.items():
                Key.objects.create(purpose=purpose, number=1, arn=arn, state=Key.State.ACTIVE)

    def _one(self, purpose: str, state: str) -> Key:
        key = Key.objects.filter(purpose=purpose, state=state).first()
        if key is None:
            raise NoSuchKey
        return key

    def _add(self, purpose: str, arn: str, state: str, *, number: int = 0) -> Key:
        number = number or self._next_number(purpose)
        return Key.objects.create(purpose=purpose, number=number, arn=arn, state=state)

    @staticmethod
    def _next_number(purpose: str) -> int:
        last = Key.objects.filter(purpose=purpose).order_by("-number").first()
        return last.number + 1 if last else 1

    @staticmethod
    def _change(key: Key, state: str) -> None:
        """Raises `NoSuchKey` if somebody else changed it first: two keys that seal would close the vault."""
        now = timezone.now()
        if not Key.objects.filter(pk=key.pk, state=key.state).update(state=state, changed_at=now):
            raise NoSuchKey
        key.state, key.changed_at = state, now

    def _require_known(self, key: Key) -> None:
        """A process that read the list before the change may still write as it was."""
        if self._seconds_until_known(key) > 0:
            raise KeyListTooYoung

    def _seconds_until_known(self, key: Key) -> float:
        age = timezone.now() - key.changed_at
        return (timedelta(seconds=self._config.KEYS_MAX_AGE) - age).total_seconds()

    # --- KMS -------------------------------------------------------------------------------------------------------

    def _is_alias_behind(self, active: Key) -> bool:
        name = self._config.CARD_KEY
        return name.startswith("alias/") and self._session.key_arn(name) != active.arn

    def _move_alias(self, active: Key) -> None:
        """Let the alias of the settings follow, once no process seals under the name any more.

        Whoever read the settings before there was a list seals under the alias, and their items name no key.
        """
        if not self._is_alias_behind(active):
            return
        first = Key.objects.order_by("created_at")[0]
        since = timezone.now() - first.created_at
        self._sleep(max((timedelta(seconds=self._config.KEYS_MAX_AGE) - since).total_seconds(), 0))
        self._kms.move_alias(self._config.CARD_KEY, active.arn)


def items_under(key: Key, census: Census) -> int:
    """How many items a key still has to do with."""
    if key.purpose == _CARD:
        return census.cards[CardKey.of(key.arn, is_first=key.number == 1).id]
    return max(census.found_by[key.number], census.fingerprints[key.number])
