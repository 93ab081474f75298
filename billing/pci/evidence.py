"""One run: every proof of a period into a folder, with an index that says what proves what."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.utils import timezone

from billing.pci import system
from billing.pci.folder import Folder
from billing.pci.requirements import NOT_PROVEN, PROVEN_BY
from vault import proofs
from vault.audit import audited, current_origin
from vault.proofs import Period, Proof

INDEX: Final = "evidence.json"
_STANDARD: Final = "PCI DSS v4.0.1"
_FORMAT: Final = 1

BACKWARD: Final = "--from is after --to."
IN_FUTURE: Final = "--to is in the future."

#: Sign-ins, and what becomes of them: names of operations in the audit log.
_SIGN_INS: Final = (
    "api.sign_in",
    "mfa.use",
    "mfa.use.lock",
    "password.reset",
    "session.idle",
    "session.start",
    "sign_in",
    "sign_in.lock",
    "sign_out",
)
#: Who may what, and with what.
_RIGHTS: Final = (
    "account.networks",
    "group.change",
    "group.create",
    "group.delete",
    "mfa.add",
    "mfa.remove",
    "rights.change",
    "token.create",
    "token.delete",
    "user.change",
    "user.create",
    "user.delete",
)
_OF_PERIOD: Final[dict[str, Callable[[Period], Proof]]] = {
    "keys.json": proofs.keys,
    "retention.json": proofs.retention,
    "consistency.json": proofs.consistency,
    "strays.json": proofs.incidents,
    "audit.json": proofs.audit_log,
    "reads.json": proofs.reads,
    "sign-ins.json": partial(proofs.counts, operations=_SIGN_INS),
}
_OF_NOW: Final[dict[str, Callable[[], Proof]]] = {
    "access.json": proofs.readers,
    "staff.json": system.staff,
    "service-accounts.json": system.service_accounts,
    "environment.json": system.environment,
    "taken-cards.json": system.taken_cards,
    "transport.json": system.transport,
    "sign-in-rules.json": system.sign_in_rules,
    "checks.json": system.check_results,
    "scripts.json": system.scripts,
    "sbom.cdx.json": system.bill,
}
_LINES: Final = "rights.jsonl"


class PeriodRefused(ValueError):
    """There is no such period; the message is a constant sentence."""


def period(first: date, last: date) -> Period:
    """The days from the first to the last. Raises `PeriodRefused`."""
    if first > last:
        raise PeriodRefused(BACKWARD)
    if last > timezone.now().date():
        raise PeriodRefused(IN_FUTURE)
    return Period(first, last)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was written: the digest of the index, how many files, and by file what is not as it should be."""

    index_sha256: str
    files: int
    findings: dict[str, tuple[str, ...]]


def write(when: Period, path: Path) -> Evidence:
    """Write the evidence of a period into a new folder, or into one that is empty.

    All of it is there afterwards, or nothing. The outcome in the audit log has the digest of the index, and the next
    seal of the log vouches for that. It is recorded before the folder gets its name: else there could be evidence of
    which the log does not know. Raises `FolderUnusable`, `AuditUnavailable`, `VaultSealed`, `VaultUnavailable`.
    """
    about = {"first": when.first.isoformat(), "last": when.last.isoformat()}
    proving: dict[str, Callable[[], Proof]] = {name: partial(prove, when) for name, prove in _OF_PERIOD.items()}
    findings: dict[str, tuple[str, ...]] = {}
    with Folder(path) as folder, audited("evidence", **about) as outcome:
        for name, prove in (proving | _OF_NOW).items():
            proof = prove()
            folder.add(name, proof.data)
            if proof.findings:
                findings[name] = proof.findings
        folder.add_lines(_LINES, proofs.changes(when, _RIGHTS))
        index = folder.add(INDEX, _index(when, folder, findings))
        folder.sum_up()
        outcome |= {"index_sha256": index.sha256, "files": len(folder.files), "findings": sorted(findings)}
    return Evidence(index.sha256, len(folder.files), findings)


def _index(when: Period, folder: Folder, findings: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    origin = current_origin()
    requirements: list[dict[str, Any]] = [
        {
            "requirement": requirement,
            "files": list(names),
            "is_proven": not any(name in findings for name in names),
            "findings": [sentence for name in names for sentence in findings.get(name, ())],
        }
        for requirement, names in PROVEN_BY.items()
    ]
    requirements += [
        {"requirement": requirement, "files": [], "is_proven": None, "reason": reason}
        for requirement, reason in NOT_PROVEN.items()
    ]
    return {
        "format": _FORMAT,
        "standard": _STANDARD,
        "period": {"first": when.first, "last": when.last, "zone": "UTC"},
        "made_at": timezone.now(),
        "made_by": {"actor": origin.actor, "name": origin.actor_name, "source": origin.source},
        "product": {"name": "billing", "version": _version(), "commit": commit()},
        "requirements": sorted(requirements, key=lambda each: _in_order(each["requirement"])),
        "files": [asdict(each) | {"findings": list(findings.get(each.name, ()))} for each in folder.files],
    }


def _in_order(requirement: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", requirement.split(",", maxsplit=1)[0])]


def _version() -> str:
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


_COMMIT: Final = re.compile("[0-9a-f]{40}")


def commit() -> str:
    """The commit that runs: SOURCE_COMMIT, which an image is built with, or that of a checkout; else "unknown"."""
    if _COMMIT.fullmatch(settings.SOURCE_COMMIT):
        return str(settings.SOURCE_COMMIT)
    try:
        git = settings.BASE_DIR / ".git"
        if git.is_file():
            git = Path(git.read_text().removeprefix("gitdir:").strip())
        head = (git / "HEAD").read_text().strip()
        if head.startswith("ref: "):
            common = git / "commondir"
            root = git / common.read_text().strip() if common.exists() else git
            head = _reference(root, head.removeprefix("ref: "))
    except OSError:
        return "unknown"
    return head if _COMMIT.fullmatch(head) else "unknown"


def _reference(git: Path, name: str) -> str:
    if (git / name).exists():
        return (git / name).read_text().strip()
    packed = (git / "packed-refs").read_text().splitlines()
    return next((line.split()[0] for line in packed if line.endswith(f" {name}")), "")
