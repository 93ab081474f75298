"""The accounting run, as long as CI has time for. `make accounting` is the whole of it; see docs/accounting.md."""

import os
import secrets

import pytest

from tests.accounting.mototable import serving_moto
from tests.accounting.run import EMBEDDED, ENVIRONMENT, MOTO, Run
from tests.processes import installed

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.killed]

# Another one each time: what it finds depends on the moment as well, and a seed that found nothing finds nothing again.
SEED = os.environ.get("ACCOUNTING_SEED") or secrets.token_hex(4)


def balanced(folder, aws, operations):
    with installed(folder / "data", **ENVIRONMENT, **aws) as installation:
        run = Run(installation, seed=SEED, operations=operations, workers=4, deaths=0.05)
        wrong = run()
    assert run.tally.kills
    assert run.tally.deaths
    assert wrong == [], f"ACCOUNTING_SEED={SEED}"


def test_whatever_was_acknowledged_is_there_after_kills_and_faults(tmp_path_factory):
    balanced(tmp_path_factory.mktemp("embedded"), EMBEDDED, 200)


def test_whatever_was_acknowledged_is_there_with_a_data_key_per_item(tmp_path_factory):
    folder = tmp_path_factory.mktemp("moto")
    with serving_moto(folder) as endpoint:
        balanced(folder, endpoint | MOTO, 80)
