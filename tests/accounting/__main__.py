"""`python -m tests.accounting`: the accounting run, on the embedded engine and then on moto, with a MariaDB of its own.

Ends with 1 if anything does not balance; then the books and what the processes said are kept. See docs/accounting.md.
"""

import argparse
import secrets
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests import mariadb
from tests.accounting.mototable import serving_moto
from tests.accounting.run import EMBEDDED, ENVIRONMENT, MOTO, Run, server_at
from tests.processes import Installation

# Of the operations, by engine. 10,000 on moto were more than 22 GB of memory could hold.
SHARES = {"embedded": 1, "moto": 5}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", default="", help="of an earlier run; else a new one is drawn")
    parser.add_argument("--operations", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--only", choices=SHARES)
    options = parser.parse_args()
    seed = options.seed or secrets.token_hex(4)
    wrong = []
    sizes = {aws: options.operations // share for aws, share in SHARES.items()}
    if options.only:
        sizes = {options.only: options.operations}
    for aws, operations in sizes.items():
        sys.stdout.write(f"SEED={seed} OPERATIONS={operations} WORKERS={options.workers} {aws}\n")
        sys.stdout.flush()
        wrong += account(aws, seed=seed, operations=operations, workers=options.workers)
    return 1 if wrong else 0


def account(aws: str, **sizes) -> list[str]:
    """One run from an empty database on; what does not balance."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="accounting-"))
        server = stack.enter_context(mariadb.serving(durable=True))
        with server_at(server.url) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE accounting CHARACTER SET utf8mb4")
        variables = stack.enter_context(serving_moto(folder)) | MOTO if aws == "moto" else EMBEDDED
        url = server.url.replace("/billing?", "/accounting?")
        installation = Installation(folder / "data", **ENVIRONMENT, **variables, DATABASE_URL=url)
        installation.manage("migrate", "--verbosity=0")
        installation.manage("vault_provision")
        wrong = Run(installation, server=server, **sizes)()
    if wrong:
        sys.stdout.write(f"Books and logs are in {folder}\n")
    else:
        shutil.rmtree(folder)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
