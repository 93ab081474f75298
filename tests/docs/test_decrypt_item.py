"""What we store is what AWS's own client reads, with none of our code."""

import ast
import runpy
from pathlib import Path

import boto3
import pytest

from tests.vaults import SETTINGS
from vault.backend import current_vault
from vault.pan import PAN

SCRIPT = Path("docs/decrypt_item.py")


@pytest.mark.parametrize("materials", ["per-item", "reused"])
def test_a_stored_card_opens_without_our_code(any_vault, settings, canary, materials):
    digits = canary("independent")
    settings.VAULT = settings.VAULT | {"MATERIALS": materials}
    vault = current_vault()
    (kept,) = vault.store.keep([PAN(digits)])
    if any_vault.config.BACKEND == "aws":
        session = boto3.session.Session(region_name=SETTINGS["REGION"])
    else:
        session = boto3.session.Session(botocore_session=vault.session.botocore)
    read_card = runpy.run_path(str(SCRIPT))["read_card"]
    assert read_card(session, table=SETTINGS["TABLE"], key=SETTINGS["CARD_KEY"], token=kept.token.text) == digits


def test_it_imports_nothing_of_this_project():
    imports = [
        node for node in ast.walk(ast.parse(SCRIPT.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    names = {
        name
        for node in imports
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
    }
    assert not [name for name in names if name.split(".")[0] in {"vault", "orders", "billing", "tests"}]
