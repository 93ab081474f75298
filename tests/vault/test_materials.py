import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from dynamodb_encryption_sdk.structures import EncryptionContext

from tests.cards import NUMBERS
from tests.clocks import clock
from vault.aws import AWSSession, client_config
from vault.exceptions import RecordTampered, VaultSealed, VaultUnavailable
from vault.gate import PATIENCE, Gate, Turn
from vault.materials import ReusedDataKey
from vault.pan import PAN

__all__ = ["clock"]

pytestmark = pytest.mark.django_db
PANS = [PAN(numbers[0]) for numbers in NUMBERS.values()]


@pytest.fixture
def reused(vault, wire, clock):
    return ReusedDataKey(
        kms=vault.session.kms(), key_id=vault.config.CARD_KEY, table="t", max_age=60, max_items=3, clock=clock
    )


def seal(provider):
    return provider.encryption_materials(EncryptionContext()).material_description


def open_(provider, description):
    return provider.decryption_materials(EncryptionContext(material_description=description))


def test_one_data_key_seals_as_many_items_as_allowed(reused, wire):
    wrapped = [seal(reused)["amzn-ddb-env-key"] for _ in range(4)]
    assert len(set(wrapped[:3])) == 1
    assert wrapped[3] != wrapped[0]
    assert wire.calls["GenerateDataKey"] == 2


def test_a_data_key_seals_for_as_long_as_allowed(reused, wire, clock):
    seal(reused)
    clock.now = 59.9
    seal(reused)
    assert wire.calls["GenerateDataKey"] == 1
    clock.now = 60
    seal(reused)
    assert wire.calls["GenerateDataKey"] == 2


def test_opening_asks_kms_again_when_its_time_is_over(reused, wire, clock):
    description = seal(reused)
    open_(reused, description)
    open_(reused, description)
    assert wire.calls["Decrypt"] == 1
    clock.now = 60
    open_(reused, description)
    assert wire.calls["Decrypt"] == 2


def test_keys_that_were_opened_are_not_kept_without_end(reused, monkeypatch):
    monkeypatch.setattr("vault.materials._UNWRAPPED_KEYS_KEPT", 2)
    for _ in range(4):
        reused._sealing = None
        open_(reused, seal(reused))
    assert len(reused._opening) == 2


def test_nobody_waits_for_the_next_key_of_somebody_whom_kms_holds_up(vault, clock):
    """A key is asked for under a lock, and those who wait for it would all hang with the one who asks."""
    gate = Gate(3, clock=clock)
    session = AWSSession(
        region=vault.config.REGION,
        decrypt_key="",
        config=client_config(connect_timeout=1, read_timeout=1, max_attempts=1, max_connections=2),
        embedded_dir=vault.config.EMBEDDED_DIR,
        gate=gate,
    )
    hangs, answers = threading.Event(), threading.Event()

    def hang(**_):
        hangs.set()
        answers.wait()

    session.botocore.register("before-send", hang)
    reused = ReusedDataKey(
        kms=session.kms(), key_id=vault.config.CARD_KEY, table="t", max_age=60, max_items=9, lock=Turn(gate)
    )
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(seal, reused)
        assert hangs.wait(30)
        clock.now += PATIENCE
        with pytest.raises(VaultUnavailable):
            seal(reused)
        with pytest.raises(VaultUnavailable):
            open_(reused, {"amzn-ddb-env-key": "AAAA"})
        answers.set()
        assert first.result()["amzn-ddb-env-key"] == seal(reused)["amzn-ddb-env-key"]


def test_a_refused_key_seals_nothing_and_is_asked_for_again(reused, wire, vault):
    wire.fail("GenerateDataKey", "DisabledException")
    with pytest.raises(vault.session.kms().exceptions.ClientError):
        seal(reused)
    wire.heal()
    assert seal(reused)["amzn-ddb-env-key"]


def test_per_item_asks_kms_for_every_card_and_names_its_token(vault, wire):
    kept = vault.store.keep(PANS)
    vault.store.open([card.token for card in kept])
    assert wire.calls["GenerateDataKey"] == len(PANS)
    assert wire.calls["Decrypt"] == len(PANS) + 1  # one for the fingerprint secret
    generated = [body for body in wire.bodies if b'"token"' in body and b"aws-kms-table" in body]
    assert all(any(card.token.text.encode() in body for body in generated) for card in kept)


def test_a_reused_key_asks_kms_once(settings, vault_settings):
    from tests.wire import Wire
    from vault.backend import current_vault

    settings.VAULT = vault_settings | {"MATERIALS": "reused"}
    vault = current_vault()
    wire = Wire(vault)
    kept = vault.store.keep(PANS)
    opened = vault.store.open([card.token for card in kept])
    assert [card.record.pan for card in opened] == PANS
    assert (wire.calls["GenerateDataKey"], wire.calls["Decrypt"]) == (1, 2)


@pytest.mark.parametrize(("first", "then"), [("per-item", "reused"), ("reused", "per-item")])
def test_what_one_strategy_has_sealed_opens_under_the_other(settings, vault_settings, first, then):
    from vault.backend import current_vault

    settings.VAULT = vault_settings | {"MATERIALS": first}
    kept = current_vault().store.keep(PANS)
    settings.VAULT = vault_settings | {"MATERIALS": then}
    opened = current_vault().store.open([card.token for card in kept])
    assert [card.record.pan for card in opened] == PANS


@pytest.mark.parametrize("materials", ["per-item", "reused"])
def test_an_item_wrapped_by_a_foreign_key_is_refused(settings, vault_settings, materials):
    from vault.backend import current_vault

    kms = current_vault().session.kms()
    foreign = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/foreign", TargetKeyId=foreign)
    settings.VAULT = vault_settings | {"MATERIALS": materials, "CARD_KEY": "alias/foreign"}
    (kept,) = current_vault().store.keep(PANS[:1])
    settings.VAULT = vault_settings | {"MATERIALS": materials}
    with pytest.raises(RecordTampered):
        current_vault().store.open([kept.token])


@pytest.mark.parametrize("materials", ["per-item", "reused"])
def test_a_disabled_key_opens_and_seals_nothing(settings, vault_settings, materials):
    from vault.backend import current_vault

    settings.VAULT = vault_settings | {"MATERIALS": materials}
    vault = current_vault()
    (kept,) = vault.store.keep(PANS[:1])
    kms = vault.session.kms()
    kms.disable_key(KeyId=kms.describe_key(KeyId=vault.config.CARD_KEY)["KeyMetadata"]["KeyId"])
    with pytest.raises(VaultSealed):
        vault.store.open([kept.token])
    if materials == "per-item":
        with pytest.raises(VaultSealed):
            vault.store.keep(PANS[1:2])
        assert vault.store.find(PANS[1]) is None
