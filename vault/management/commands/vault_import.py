from __future__ import annotations

import json
import os
import stat
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Final

from django.core.management.base import CommandError, CommandParser
from django.db import Error as DatabaseError

from vault.audit import audited
from vault.exceptions import VaultError
from vault.importing.columns import ROLES, Naming
from vault.importing.journal import Counts, Journal, JournalError
from vault.importing.reading import CSVFile, JSONLinesFile, Lines, RowFile
from vault.importing.refusals import FileRefused
from vault.importing.rows import Reject
from vault.importing.running import check, run
from vault.management.operators import OperatorCommand
from vault.management.progress import progress
from vault.pace import Pace
from vault.redaction import contains_pan
from vault.stdout import taken

_FORMATS: Final = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_SHOWN: Final = 20
_NUMBER_TYPED: Final = "A card number does not belong on a command line, nor in the name of a file."
_REJECTED: Final = "Some rows were rejected."
_NO_FORMAT: Final = "Say what the file is: --format csv or jsonl."
_NO_OUTPUT: Final = "Name an --output that ends in .csv or .jsonl."
_UNREADABLE: Final = "A file cannot be read or written."
_NO_DATABASE: Final = "The database did not answer."
_INTERRUPTED: Final = "Interrupted."
_AGAIN: Final = "Rows up to {} are settled. Run the same command again to go on."


class Command(OperatorCommand):
    help = (
        "Keep the cards of a CSV or JSON lines file and write their tokens. Can be killed and run again. Ends with 0 "
        "if all rows were kept, 2 if some were rejected, 1 if it could not go on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="the file to import; - is standard input")
        parser.add_argument("--format", choices=["csv", "jsonl"], help="of FILE; else its suffix tells")
        parser.add_argument("--output", metavar="FILE", type=Path, help="tokens, as .csv or .jsonl; required")
        parser.add_argument(
            "--rejects", metavar="FILE", type=Path, help="rows that were not kept, as JSON lines; has a default"
        )
        for role in ROLES:
            parser.add_argument(f"--{role}-column", metavar="NAME", help=f"where the {role} stands")
        parser.add_argument("--rate", metavar="N", type=int, help="the most cards a second")
        parser.add_argument("--dry-run", action="store_true", help="judge every row, and write nothing anywhere")
        parser.add_argument("--report", choices=["text", "json"], default="text", help="counts on standard output")
        parser.add_argument(
            "--events", metavar="FILE", type=Path, help="add the lines of audit events to this, not to standard error"
        )

    def run_from_argv(self, argv: list[str]) -> None:
        # Before the parser, whose error messages quote what they do not understand.
        if any(contains_pan(text) for text in argv):
            self.stderr.write(_NUMBER_TYPED)
            sys.exit(1)
        super().run_from_argv(argv)

    def handle(self, *args: Any, **options: Any) -> None:
        if any(contains_pan(str(value)) for value in options.values()):
            raise CommandError(_NUMBER_TYPED)
        if options["rate"] is not None and options["rate"] < 1:
            raise CommandError("The rate must be above zero.")
        options["format"] = options["format"] or _FORMATS.get(Path(options["file"]).suffix.lower())
        if options["format"] is None:
            raise CommandError(_NO_FORMAT)
        if options["dry_run"]:
            self._check(options)
        else:
            self._import(options)

    def _check(self, options: dict[str, Any]) -> None:
        started = time.monotonic()
        shown: Counter[str] = Counter()

        def notice(reject: Reject) -> None:
            shown["rejects"] += 1
            if shown["rejects"] <= _SHOWN:
                self.stderr.write(f"row {reject.row}: {reject.reason.message}")

        with _sentences(), _opened(options["file"]) as stream:
            lines = Lines(stream)
            file = _row_file(lines, options)
            with _progress(lines, _size(stream), Pace(None)) as advanced:
                counts = check(file.rows(), noticed=notice, advanced=advanced)
        if counts.rejected > _SHOWN:
            self.stderr.write(f"and {counts.rejected - _SHOWN} more")
        self._report(options, counts, time.monotonic() - started)

    def _import(self, options: dict[str, Any]) -> None:
        started = time.monotonic()
        output, rejects = _outputs(options)
        with ExitStack() as stack:
            stack.enter_context(_sentences())
            stream = stack.enter_context(_opened(options["file"]))
            size = _size(stream)
            if size is not None and options["format"] == "jsonl":
                JSONLinesFile(Lines(stream), Naming()).refuse_forbidden_keys()
                stream.seek(0)
            lines = Lines(stream)
            file = _row_file(lines, options)
            about = {"file": Path(options["file"]).name, "size": size, "columns": file.layout, **_chosen(options)}
            journal = stack.enter_context(Journal(output, rejects, about=about))
            if not journal.is_finished:
                self._run(file, journal, lines, size, options)
        self._report(options, journal.counts, time.monotonic() - started)

    def _run(self, file: RowFile, journal: Journal, lines: Lines, size: int | None, options: dict[str, Any]) -> None:
        name, rate = options["output"].name, options["rate"]
        try:
            with (
                _events(options["events"]),
                audited("import", subject=name, after_row=journal.row) as outcome,
                _progress(lines, size, Pace(rate)) as advanced,
            ):
                run(file.rows(after=journal.row), journal, at_once=rate, advanced=advanced)
                outcome.update(asdict(journal.counts))
        except BaseException:
            self.stderr.write(_AGAIN.format(journal.row))
            raise

    def _report(self, options: dict[str, Any], counts: Counts, seconds: float) -> None:
        if options["report"] == "json":
            self.stdout.write(json.dumps(asdict(counts) | {"seconds": round(seconds, 1)}))
        elif options["dry_run"]:
            self.stdout.write(
                f"{counts.rows} rows, {counts.rejected} rejected; {seconds:.1f} seconds. Nothing was kept."
            )
        else:
            self.stdout.write(
                f"{counts.rows} rows: {counts.created} created, {counts.existing} existing, {counts.updated} updated, "
                f"{counts.rejected} rejected; {seconds:.1f} seconds."
            )
        if counts.rejected:
            raise CommandError(_REJECTED, returncode=2)


@contextmanager
def _sentences() -> Iterator[None]:
    """Whatever stops an import is a sentence of ours: the message of another's error may quote a row."""
    try:
        yield
    except (FileRefused, JournalError) as error:
        raise CommandError(str(error)) from None
    except VaultError as error:
        raise CommandError(f"{error.message} {error.aws_answer}".strip()) from None
    except DatabaseError:
        raise CommandError(_NO_DATABASE) from None
    except OSError as error:
        raise CommandError(f"{_UNREADABLE} {error.strerror or ''}".strip()) from None
    except KeyboardInterrupt:
        raise CommandError(_INTERRUPTED) from None


@contextmanager
def _events(path: Path | None) -> Iterator[None]:
    """Standard output is the report's; events go to standard error or to the end of a file."""
    if path is None:
        with taken():
            yield
        return
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a") as stream, taken(to=stream):
        yield


@contextmanager
def _progress(lines: Lines, size: int | None, pace: Pace) -> Iterator[Callable[[int, int], None]]:
    done = 0
    with progress(unit="rows") as seen:

        def advance(rows: int, cards: int) -> None:
            nonlocal done
            done += rows
            # How many rows there will be is known when all were read; till then they are taken for equally long.
            seen(rows, total=round(done * size / lines.bytes_read) if size else None)
            pace.spend(cards)

        yield advance


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    with Path(name).open("rb") as stream:
        yield stream


def _size(stream: BinaryIO) -> int | None:
    """The length of a file; None for what is none and so can be read once only."""
    status = os.fstat(stream.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _row_file(lines: Lines, options: dict[str, Any]) -> RowFile:
    naming = Naming(_chosen(options))
    return CSVFile(lines, naming) if options["format"] == "csv" else JSONLinesFile(lines, naming)


def _chosen(options: dict[str, Any]) -> dict[str, str]:
    return {role: options[f"{role}_column"] for role in ROLES if options[f"{role}_column"] is not None}


def _outputs(options: dict[str, Any]) -> tuple[Path, Path]:
    output = options["output"]
    if output is None or _FORMATS.get(output.suffix) is None:
        raise CommandError(_NO_OUTPUT)
    rejects = options["rejects"] or output.with_suffix(".rejects.jsonl")
    names = {path.resolve() for path in (output, rejects, output.with_name(f"{output.name}.journal"))}
    if len(names | {Path(options["file"]).resolve()}) < 4:  # noqa: PLR2004 - four files
        raise CommandError("Input, output, rejects and journal must be different files.")
    return output, rejects
