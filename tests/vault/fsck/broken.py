"""Two stores that do not agree, made on purpose."""

import json
from datetime import timedelta
from io import StringIO

from django.core.management import CommandError, call_command
from django.utils import timezone

from tests.cards import NUMBERS
from vault import services
from vault.models import Card
from vault.pan import PAN
from vault.tokens import Token

VISA, AMEX, JCB = (PAN(NUMBERS[brand][0]) for brand in ("visa", "amex", "jcb"))
AGES_AGO = timezone.now() - timedelta(days=3)


def keep(*pans, is_external=True):
    """Cards that were kept long ago, and that somebody outside has the tokens of."""
    cards = [services.tokenize(pan, is_external=is_external).card for pan in pans]
    grow_old(*cards)
    return cards


def grow_old(*cards, **changes):
    changes = {"created_at": AGES_AGO, "used_at": AGES_AGO} | changes
    Card.objects.filter(token__in=[card.token for card in cards]).update(**changes)


def raw(vault, key):
    answer = vault.session.dynamodb().get_item(TableName=vault.config.TABLE, Key={"token": {"S": str(key)}})
    return answer.get("Item")


def put(vault, item):
    vault.session.dynamodb().put_item(TableName=vault.config.TABLE, Item=item)


def drop(vault, key):
    vault.session.dynamodb().delete_item(TableName=vault.config.TABLE, Key={"token": {"S": str(key)}})


def rewritten(vault, card):
    """A card's item written anew behind the back of SQL; what it was before, and what it is."""
    token = Token.parse(card.token)
    rewrite = vault.store.rewrite(token, raw(vault, token))
    assert vault.store.commit(rewrite)
    return rewrite


def sealed_under(vault, key, card):
    """The item of a card under another KMS key, by somebody who has all else that it takes."""
    from vault.keyring import CardKey, KeyRing

    store = vault._build_store(KeyRing(sealing=CardKey(key), opening=(CardKey(key),)))
    return store._sealer.seal_card(vault.store.open([Token.parse(card.token)])[0].record)


def run(command, *arguments):
    """What a command reports in JSON, and how it ends."""
    out, code = StringIO(), 0
    try:
        call_command(command, *arguments, "--format", "json", stdout=out)
    except CommandError as error:
        if not out.getvalue():
            raise
        code = error.returncode
    return json.loads(out.getvalue()), code


def found(*arguments):
    """What vault_fsck finds: pairs of code and token, and its exit code."""
    report, code = run("vault_fsck", *arguments)
    return sorted((finding["code"], finding["token"]) for finding in report["findings"]), code
