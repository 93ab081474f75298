"""Brings a run to rest and judges it.

Without faults, and after the workers are through: operators rotate, seal anew, repair and verify; then the books are
compared with the stores, and everything is searched for cards. Its result is JSON.
"""

import io
import json
import sys
import time
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connections
from django.db.models import F

from tests.accounting.balance import Balance, Books
from tests.accounting.search import Search
from vault.models import Card, IdempotentRequest, ItemChange


def let_an_hour_pass() -> None:
    """In SQL, so that what is half done is old enough to be taken for abandoned, and claims on requests are over."""
    hour = timedelta(hours=1)
    Card.objects.exclude(erased_at=None).update(erased_at=F("erased_at") - hour)
    ItemChange.objects.update(started_at=F("started_at") - hour)
    IdempotentRequest.objects.update(claimed_until=F("claimed_until") - hour)


class Closing:
    """What operators do at the end of a run. `wrong` has what did not go as it should."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.repaired: dict[str, int] = {}

    def run(self) -> None:
        self._command("vault_rotate", "card")
        # What nobody refers to is an orphan once it is older than this.
        time.sleep(max(settings.VAULT["KEYS_MAX_AGE"], settings.VAULT["ORPHAN_GRACE"]) + 0.5)
        let_an_hour_pass()
        # First: cards of which SQL knows nothing are not sealed anew.
        self.repaired = json.loads(self._command("vault_fsck", "--repair", "--format=json") or "{}").get("counts", {})
        self._command("vault_reencrypt")
        self._command("vault_fsck", "--format=json")
        self._command("vault_audit", "seal")
        self._command("vault_audit", "verify", "--format=json")
        keys = json.loads(self._command("vault_keys", "--format=json") or "[]")
        left = [key for key in keys if key["state"] == "old" and key["items"] != 0]
        self.wrong += [f"{key['items']} items are under old key {key['number']}" for key in left]
        if sum(key["purpose"] == "card" for key in keys) < 2:
            self.wrong.append("no key was rotated")

    def _command(self, name: str, *arguments: str) -> str:
        out = io.StringIO()
        try:
            call_command(name, *arguments, stdout=out)
        except CommandError as error:
            said = out.getvalue()
            self.wrong.append(f"{name} {' '.join(arguments)} ended with {error.returncode}: {error} {said[-1500:]}")
        sys.stdout.write(out.getvalue())
        return out.getvalue()


def places_of_the_database(*, is_own: bool) -> list[Path]:
    """The files of a server, which has nothing in memory then that is not in them.

    Of one that others use as well, the tables alone: what it has of all together may be what another test has planted.
    """
    if connections["default"].vendor != "mysql":
        return []
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT @@datadir")
        data = Path(cursor.fetchone()[0])
        names = {str(connections[alias].settings_dict["NAME"]) for alias in connections}
        for name in sorted(names):
            cursor.execute(f"SHOW TABLES FROM {name}")
            tables = ", ".join(f"{name}.{table}" for (table,) in cursor.fetchall())
            cursor.execute(f"FLUSH TABLES {tables} FOR EXPORT")
            cursor.execute("UNLOCK TABLES")
    return [each for each in data.iterdir() if each.name in names or (is_own and each.is_file())]


def main() -> None:
    """Takes where to write the result, the books, seed and sizes of the run, processes that were killed, whose the server
    is, and folders to search.
    """
    result, folder, seed, operations, workers, killed, server, *places = sys.argv[1:]
    closing = Closing()
    closing.run()
    books = Books.read(Path(folder), seed)
    balance = Balance(books, operations=int(operations), workers=int(workers))
    balance.strike({int(process) for process in killed.split(",") if process})
    sys.stdout.flush()
    search = Search(seed, balance.numbers)
    search.everywhere([*map(Path, places), *places_of_the_database(is_own=server == "own")])
    said = {
        "wrong": closing.wrong + balance.wrong + search.leaks,
        "counts": balance.counts,
        "repaired": closing.repaired,
        "bytes": search.size,
        "seconds": search.seconds,
    }
    Path(result).write_text(json.dumps(said))
