from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError

from billing.sbom import bill_of_materials
from vault.management.operators import OperatorCommand
from vault.stdout import taken


class Command(OperatorCommand):
    help = (
        "Write the bill of materials, CycloneDX 1.6 in JSON, to standard output: the packages of the lock and the "
        "vendored files, with hashes and licenses. Ends with 2 if something else is installed than was locked."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        with taken():
            bill = bill_of_materials()
            self.stdout.write(json.dumps(bill.document, indent=2))
        if bill.findings:
            raise CommandError(" ".join(bill.findings), returncode=2)
