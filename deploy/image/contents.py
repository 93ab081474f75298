"""What is in the image and must not be, and what is missing. It ends with 1 for a finding.

`deploy/image/build.sh` runs it inside, as root: it looks at what is there, and not at what the Dockerfile means.
"""

import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

APP, USER = Path("/app"), 10001
sys.path.insert(0, str(APP))

from vault.redaction import contains_pan  # noqa: E402 - of the image

# Of the running container, not of the image; and the one place where anybody may write.
NOT_OURS = {"/proc", "/sys", "/dev", "/tmp", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/run/.containerenv"}  # noqa: S108
FORBIDDEN_PROGRAMS = ("gcc", "cc", "make", "pip", "pip3", "curl", "wget", "git", "sudo")
FORBIDDEN_NAMES = {".git", ".env", ".venv", "tests", "benchmarks", "clients", "secret_key", "deploy", "data/vault"}
FORBIDDEN_ENDINGS = (".sqlite3", ".pem", ".key", ".log")
NEEDED = (
    "/usr/bin/tini",
    "/opt/venv/bin/gunicorn",
    "/etc/ssl/certs/rds-global-bundle.pem",
    "/etc/ssl/certs/ca-certificates.crt",
    "/app/data/static/staticfiles.json",
    "/app/docs/api-examples.json",
    "/app/locale/de/LC_MESSAGES/django.mo",
    "/app/billing/__pycache__/wsgi.cpython-311.pyc",
)
# Documentation shows the test numbers that card schemes publish; vendored files have numbers of other kinds.
DIGITS_ELSEWHERE = (APP / "docs/api-examples.json", APP / "static/vendor", APP / "data/static")
TEXTS = {".py", ".html", ".txt", ".json", ".js", ".css", ".po", ".toml", ".svg"}


def everything(folder: str = "/") -> Iterator[Path]:
    for entry in os.scandir(folder):
        if entry.path in NOT_OURS:
            continue
        yield Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from everything(entry.path)


def findings() -> Iterator[str]:
    for path in everything():
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            continue
        if status.st_mode & stat.S_IWOTH or USER in (status.st_uid, status.st_gid):
            yield f"writable: {path}"
        if stat.S_ISREG(status.st_mode) and status.st_mode & (stat.S_ISUID | stat.S_ISGID):
            yield f"raises rights: {path}"
    for path in APP.rglob("*"):
        if path.name in FORBIDDEN_NAMES or path.name.endswith(FORBIDDEN_ENDINGS) or path.name.startswith(".env"):
            yield f"does not belong there: {path}"
        if path.suffix in TEXTS and path.is_file() and not any(map(path.is_relative_to, DIGITS_ELSEWHERE)):
            # Which number it is, nobody has to print.
            yield from (f"a card number: {path}",) if contains_pan(path.read_text(errors="replace")) else ()
    yield from (f"does not belong there: {name}" for name in FORBIDDEN_PROGRAMS if shutil.which(name))
    yield from (f"missing: {name}" for name in NEEDED if not Path(name).is_file())


if __name__ == "__main__":
    found = list(findings())
    print("\n".join([*found, f"{len(found)} findings in the image"]))
    sys.exit(bool(found))
