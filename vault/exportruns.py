"""Running an approved export: each card once, into one file, however often the process is killed."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from django.utils import timezone

from vault import alarms, exports, journals
from vault.audit import audited, record
from vault.envelopes import ENCRYPTION, RecipientKey
from vault.exceptions import CardErased, ForeignExportFile, RecordTampered, TokenNotFound
from vault.journals import Journal
from vault.models import Card, ExportRequest
from vault.pan import PAN
from vault.services import _alarmed
from vault.tokens import Token

_State: Final = ExportRequest.State
_VERSION: Final = 1
_BATCH: Final = 100
#: So many failures are kept by token: each takes memory, and a place in one row of SQL.
LISTED: Final = 1_000
_STARTED: Final = "An approved export of cards is being run."
# What is wrong with one card, and stops no other.
_REASONS: Final[dict[type[Exception], str]] = {
    RecordTampered: "tampered",
    CardErased: "erased",
    TokenNotFound: "missing",
}
_OfOneCard: Final = tuple(_REASONS)


@dataclass
class Counts:
    """What stands in the file: how many cards, and why which are not among them."""

    exported: int = 0
    failures: int = 0
    #: The first of them by token. All stand in the file.
    failed: dict[str, str] = field(default_factory=dict)

    def add(self, entry: dict[str, Any]) -> None:
        """Count one line of the file."""
        if "error" not in entry:
            self.exported += 1
            return
        self.failures += 1
        if len(self.failed) < LISTED:
            self.failed[str(entry["token"])] = str(entry["error"])

    @property
    def total(self) -> int:
        return self.exported + self.failures


def run(
    asked: ExportRequest,
    path: Path,
    *,
    at_once: int | None = None,
    progress: Callable[[int], object] = int,
    spend: Callable[[int], object] = int,
) -> Counts:
    """Write every card of the request into the file at `path`, or go on where it was stopped.

    Cards that cannot be opened stand there with the reason instead of an envelope. No more than `at_once` are
    opened in one batch. `progress` is told how many more are
    done, those of earlier runs included; `spend` those of each batch, and may wait.

    Raises `AccessDenied` with the reason if the request may not be run, `ForeignExportFile`, `ExportFileInUse`,
    `ExportFileUnwritable`, `AuditUnavailable`, `VaultSealed`, `VaultUnavailable`: another call goes on.
    """
    with audited("export.run", **exports.about_of(asked)) as outcome:
        exports.authorize_run(asked)
        # Stored, but by whom? The thumbprint is what people compared.
        key = RecipientKey.parse(asked.public_key)
        if key.thumbprint != asked.key_thumbprint:
            raise RecordTampered
        # Once there was a run, there is a file: a new one would be a second copy.
        if asked.state == _State.APPROVED:
            journals.create(path, _header(asked, key))
        with journals.opened(path) as journal:
            counts, last = _claim(asked, key, journal)
            progress(counts.total)
            alarms.sound("export.started", _STARTED, **exports.about_of(asked), done=counts.total)
            for entries in _entries(asked, key, after=last, size=min(_BATCH, at_once or _BATCH)):
                journal.append(entries)
                for entry in entries:
                    counts.add(entry)
                progress(len(entries))
                spend(len(entries))
            _finish(asked, counts)
        outcome |= {"exported": counts.exported, "failed": counts.failures}
    return counts


def _header(asked: ExportRequest, key: RecipientKey) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "request": asked.pk,
        "run": uuid.uuid4().hex,
        "recipient": asked.recipient,
        "thumbprint": key.thumbprint,
        "alg": key.algorithm,
        "enc": ENCRYPTION,
        "created": timezone.now().isoformat(timespec="seconds"),
    }


def _claim(asked: ExportRequest, key: RecipientKey, journal: Journal) -> tuple[Counts, str]:
    """Tie the request to this file, or see that it is; what stands there, and the last token."""
    header, counts, last = journal.header, Counts(), ""
    if (header.get("version"), header.get("request"), header.get("thumbprint")) != (_VERSION, asked.pk, key.thumbprint):
        raise ForeignExportFile
    for entry in journal.entries():
        counts.add(entry)
        last = entry["token"]
    approved = ExportRequest.objects.filter(pk=asked.pk, state=_State.APPROVED)
    # Of two who start at once, in two files, one succeeds.
    if not last and approved.update(state=_State.RUNNING, run=str(header.get("run"))):
        record("export.file", **exports.about_of(asked), run=str(header.get("run")))
    asked.refresh_from_db()
    if asked.state != _State.RUNNING or asked.run != header.get("run"):
        raise ForeignExportFile
    return counts, last


def _entries(asked: ExportRequest, key: RecipientKey, *, after: str, size: int) -> Iterator[list[dict[str, Any]]]:
    while cards := list(exports.selected(asked).filter(token__gt=after)[:size]):
        pans = _opened(asked, cards)
        yield [_entry(card, pans[card.token], key) for card in cards]
        after = cards[-1].token


def _opened(asked: ExportRequest, cards: list[Card]) -> dict[str, PAN | str]:
    """For each token the number, or the reason why there is none. One bad card costs the batch a second attempt."""
    found: dict[str, PAN | str] = {card.token: "erased" for card in cards if card.is_erased}
    tokens = [Token(card.token) for card in cards if not card.is_erased]
    if not tokens:
        return found
    try:
        return found | _by_token(tokens, exports.open_cards(asked, tokens))
    except _OfOneCard:
        return found | {token.text: _one(asked, token) for token in tokens}


def _by_token(tokens: list[Token], pans: list[PAN]) -> dict[str, PAN]:
    return {token.text: pan for token, pan in zip(tokens, pans, strict=True)}


def _one(asked: ExportRequest, token: Token) -> PAN | str:
    try:
        with _alarmed(token=token.text, subject=exports.name_of(asked)):
            return exports.open_cards(asked, [token])[0]
    except _OfOneCard as error:
        return _REASONS[type(error)]


def _entry(card: Card, pan: PAN | str, key: RecipientKey) -> dict[str, Any]:
    known = {"token": card.token, "brand": card.brand, "last4": card.last4, "expires": None}
    payload: dict[str, str] = {}
    if card.expires is not None:
        known["expires"] = payload["expires"] = f"{card.expires:%Y-%m}"
    if isinstance(pan, str):
        return known | {"error": pan}
    # Sealed to somebody else's key, in the same breath in which it is exposed.
    return known | {"jwe": key.seal({"number": pan.expose(), **payload}, token=card.token)}


def _finish(asked: ExportRequest, counts: Counts) -> None:
    """Say that all is done. Raises `ForeignExportFile` if the file was changed, so that cards were passed over."""
    if counts.total != exports.selected(asked).count():
        raise ForeignExportFile
    written = asked.counts | asdict(counts)
    running = ExportRequest.objects.filter(pk=asked.pk, state=_State.RUNNING)
    running.update(state=_State.DONE, counts=written, finished_at=timezone.now())
    asked.refresh_from_db()
