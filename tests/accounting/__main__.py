"""`python -m tests.accounting` is the accounting run, on a MariaDB of its own. Ends with 1 if anything does not balance."""

import argparse
import secrets
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests import mariadb
from tests.accounting.mototable import serving_moto
from tests.accounting.run import EMBEDDED, ENVIRONMENT, MOTO, Run, server_at
from tests.processes import Installation


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", default="", help="of an earlier run; else a new one is drawn")
    parser.add_argument("--operations", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--moto", action="store_true", help="moto with a data key per item, for the embedded engine")
    options = parser.parse_args()
    seed = options.seed or secrets.token_hex(4)
    sys.stdout.write(f"SEED={seed} OPERATIONS={options.operations} WORKERS={options.workers}\n")
    sys.stdout.flush()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="accounting-")))
        server = stack.enter_context(mariadb.serving(durable=True))
        with server_at(server.url) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE accounting CHARACTER SET utf8mb4")
        aws = stack.enter_context(serving_moto(folder)) | MOTO if options.moto else EMBEDDED
        url = server.url.replace("/billing?", "/accounting?")
        made = Installation(folder / "data", **ENVIRONMENT, **aws, DATABASE_URL=url)
        made.manage("migrate", "--verbosity=0")
        made.manage("vault_provision")
        run = Run(made, seed=seed, operations=options.operations, workers=options.workers, server=server)
        return 1 if run() else 0


if __name__ == "__main__":
    sys.exit(main())
