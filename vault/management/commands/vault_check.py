from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError

from vault.backend import current_vault
from vault.diagnosis import Finding, diagnose
from vault.management.operators import OperatorCommand
from vault.stdout import taken


class Command(OperatorCommand):
    help = "Send one made-up card through the vault and back, and say what is wrong if it does not arrive."

    def handle(self, *args: Any, **options: Any) -> None:
        findings = []
        with taken():
            for finding in diagnose(current_vault()):
                findings.append(finding)
                self.stdout.write(self._line(finding))
        if any(finding.problem for finding in findings):
            raise CommandError("The vault cannot be used.")
        self.stdout.write(self.style.SUCCESS("The vault can be used."))

    def _line(self, finding: Finding) -> str:
        if not finding.was_tried:
            return f"  --      {finding.step}"
        if not finding.problem:
            return f"  ok      {finding.step}"
        hint = f"\n          {finding.hint}" if finding.hint else ""
        return self.style.ERROR(f"  FAILED  {finding.step}: {finding.problem}") + hint
