"""Files to import, and what the command made of them."""

import csv
import io
import json

from django.core.management import CommandError, call_command


def imported(path, output, *options):
    """The code that the command ends with, its counts, and what it said on standard error and in its error."""
    out, said = io.StringIO(), io.StringIO()
    try:
        call_command(
            "vault_import", str(path), f"--output={output}", "--report=json", *options, stdout=out, stderr=said
        )
    except CommandError as error:
        counts = json.loads(out.getvalue()) if out.getvalue() else None
        return error.returncode, counts, said.getvalue() + str(error)
    return 0, json.loads(out.getvalue()), said.getvalue()


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def read_table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write_csv(path, rows, header=("number", "expires", "reference"), delimiter=","):
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
