"""A laptop: embedded vault, SQLite, one command, no account."""

import os
import secrets
from pathlib import Path

from billing.settings.base import *  # noqa: F403
from billing.settings.base import DATA_DIR, VAULT
from billing.settings.environment import env


def _own_secret(path: Path) -> str:
    """The secret in `path`, made on first use and readable by this user alone."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        draft = path.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(50))
        # Of several processes that start at once, one links its draft; all read that one.
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()


SECRET_KEY = env.text("SECRET_KEY", exact=True) or _own_secret(DATA_DIR / "secret_key")
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
# A laptop has no TLS, and nobody to enrol.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = True
STAFF_MFA_REQUIRED = env.flag("STAFF_MFA_REQUIRED", default=False)
WEBHOOKS_HTTP_ON_LOOPBACK = True
EMAIL_BACKEND = "billing.mail.TerminalBackend"
VAULT |= {
    "BACKEND": "embedded",
    "EMBEDDED_ALLOWED": True,
    # The demo has one member of staff, and nobody else to ask.
    "REVEAL_APPROVAL": env.flag("VAULT_REVEAL_APPROVAL", default=False),
}
env.complete()
