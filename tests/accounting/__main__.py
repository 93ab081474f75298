"""`python -m tests.accounting`: the accounting run, on a MariaDB of its own. See docs/accounting.md, or `--help`."""

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from tests import mariadb
from tests.accounting.run import EMBEDDED, ENVIRONMENT, Run, server_at
from tests.processes import Installation


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", default="", help="of an earlier run; else a new one is drawn")
    parser.add_argument("--operations", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    seed = options.seed or secrets.token_hex(4)
    sys.stdout.write(f"SEED={seed} OPERATIONS={options.operations} WORKERS={options.workers}\n")
    sys.stdout.flush()
    with tempfile.TemporaryDirectory(prefix="accounting-") as folder, mariadb.running(durable=True) as url:
        with server_at(url) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE accounting CHARACTER SET utf8mb4")
        made = Installation(
            Path(folder) / "data", **ENVIRONMENT, **EMBEDDED, DATABASE_URL=url.replace("/billing?", "/accounting?")
        )
        made.manage("migrate", "--verbosity=0")
        made.manage("vault_provision")
        run = Run(made, seed=seed, operations=options.operations, workers=options.workers)
        wrong = run()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
