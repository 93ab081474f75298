import os

import pytest

from vault import backend
from vault.backend import current_vault
from vault.exceptions import VaultSealed


def test_one_vault_for_one_configuration(settings, vault):
    assert current_vault() is vault
    settings.VAULT = settings.VAULT | {"TABLE": "another"}
    assert current_vault() is not vault


def test_a_vault_that_was_sealed_is_asked_again(vault, wire):
    wire.fail("Decrypt", "DisabledException", times=1)
    with pytest.raises(VaultSealed):
        _ = vault.store
    assert vault.store is vault.store


def test_a_forked_worker_makes_its_own(vault):
    """A child shares neither sockets nor unwrapped keys, and does not wait for a lock that nobody in it holds."""
    _ = vault.store
    with backend._lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if current_vault() is not vault and current_vault().store.find is not None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert current_vault() is vault
