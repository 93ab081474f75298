"""What a million cards cost at AWS, for both key strategies: calls counted at the wire, times AWS's prices.

    python -m benchmarks.costs

The embedded engine answers; what is counted is what AWS would be asked. No time is measured.
"""

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing.settings.local")
os.environ.setdefault("DATA_DIR", tempfile.mkdtemp(prefix="bench-costs-"))

import django

if __name__ == "__main__":
    django.setup()

from django.conf import settings
from django.core.management import call_command

from benchmarks import prices
from benchmarks.counting import Counts
from tests.cards import CANARY_BIN, with_check_digit
from vault.backend import Vault
from vault.conf import Materials, VaultConfig
from vault.pan import PAN
from vault.stdout import taken
from vault.store import CardStore

CARDS = int(os.environ.get("CARDS", "1000"))
AT_ONCE = 100
MILLION = 1_000_000


@dataclass(frozen=True)
class Cost:
    """What one operation on `cards` cards asked of AWS."""

    name: str
    cards: int
    counts: Counts

    def per_card(self, number: float) -> float:
        return number / self.cards

    @property
    def dollars(self) -> float:
        """Of a million cards."""
        counts = self.counts
        total = (
            counts.kms * prices.KMS_REQUESTS
            + counts.read_units * prices.READ_UNITS
            + counts.write_units * prices.WRITE_UNITS
        )
        return total / self.cards * MILLION

    @property
    def trail_dollars(self) -> float:
        """Of the data events that a trail records of it, for a million cards."""
        return self.counts.dynamodb * prices.DATA_EVENTS / self.cards * MILLION


def counted(materials: Materials, cards: int) -> tuple[list[Cost], Counts]:
    """Each operation on so many cards, by a vault that is in use, and all that was written."""
    pans = [PAN(with_check_digit(f"{CANARY_BIN}{number:07d}")) for number in range(2 * cards)]
    singly, together = pans[:cards], pans[cards:]
    costs: list[Cost] = []
    written = Counts()

    def count(name: str, *steps) -> None:
        vault = Vault(VaultConfig.from_settings(settings.VAULT | {"MATERIALS": materials.value}))
        counts = Counts()
        counts.listen(vault.session.botocore)
        if name.startswith("keep a new"):
            written.listen(vault.session.botocore)
        # Each begins with the fingerprint key unwrapped, as a process that runs.
        store = vault.store
        counts.forget()
        for step in steps:
            step(store)
        costs.append(Cost(name, cards, counts))

    def kept(store: CardStore, some: list[PAN], at_once: int) -> None:
        for start in range(0, cards, at_once):
            store.keep(some[start : start + at_once])

    def opened(store: CardStore, some: list[PAN], at_once: int) -> None:
        for start in range(0, cards, at_once):
            store.open(tokens[start : start + at_once])

    count("keep a new card", lambda store: kept(store, singly, 1))
    count(f"keep a new card, {AT_ONCE} at once", lambda store: kept(store, together, AT_ONCE))
    count("recognize a known card", lambda store: kept(store, singly, 1))
    tokens = Vault(VaultConfig.from_settings(settings.VAULT)).store.find_many(singly)
    count("read a card", lambda store: opened(store, singly, 1))
    count(f"read a card, {AT_ONCE} at once", lambda store: opened(store, singly, AT_ONCE))
    count("remove a card", lambda store: [store.remove(token) for token in tokens])
    return costs, written


def table(materials: Materials, costs: list[Cost]) -> str:
    lines = [
        f"| `{materials}` | KMS | DynamoDB | read units | write units | a million | its data events |",
        "|---|---|---|---|---|---|---|",
    ]
    for cost in costs:
        counts = cost.counts
        cells = [
            f"{cost.per_card(number):.4g}"
            for number in (counts.kms, counts.dynamodb, counts.read_units, counts.write_units)
        ]
        lines.append(f"| {cost.name} | {' | '.join(cells)} | ${cost.dollars:.2f} | ${cost.trail_dollars:.2f} |")
    return "\n".join(lines)


def storage(written: Counts) -> str:
    card, fingerprint = (written.item_bytes[kind] / written.items[kind] for kind in ("card", "fingerprint"))
    # DynamoDB adds 100 bytes of its own to each item that it stores.
    gigabytes = (card + fingerprint + 200) * MILLION / 10**9
    month = gigabytes * (prices.STORAGE_GB_MONTH + prices.RECOVERY_GB_MONTH)
    return (
        f"Items of {card:.0f} and {fingerprint:.0f} bytes: a million cards are {gigabytes:.2f} GB, "
        f"${month:.2f} a month with point-in-time recovery."
    )


def main() -> None:
    call_command("migrate", verbosity=0)
    call_command("migrate", database="audit", verbosity=0)
    for materials in Materials:
        # A vault of its own: no number is known already.
        settings.VAULT["EMBEDDED_DIR"] = tempfile.mkdtemp(prefix="bench-costs-")
        with taken():
            with Path(os.devnull).open("w") as nowhere:
                call_command("vault_provision", stdout=nowhere)
            costs, written = counted(materials, CARDS)
        print(table(materials, costs), storage(written), sep="\n\n", end="\n\n")
    print(f"Prices of {prices.DATED}, see benchmarks/prices.py.")


if __name__ == "__main__":
    main()
