#!/usr/bin/env bash
# Make .venv-linters hold checkov as deploy/linters/requirements.txt locks it: apart from .venv, as it wants another boto3.
#
# As in venv.sh, a stamp makes the second call fast, and an interrupted call starts over. It stands on .venv.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/setup/apt.sh
lock=deploy/linters/requirements.txt

exec 8<"$lock"
flock 8
stamp=$({ .venv/bin/python -VV && cat "$lock"; } | sha256sum)
if [ "$(cat .venv-linters/.stamp 2>/dev/null)" = "$stamp" ]; then exit; fi
say "Installing the locked linters into .venv-linters (about a minute, once)"
rm -rf .venv-linters
.venv/bin/python -m venv .venv-linters
# Wheels alone and without looking for dependencies, for the reasons of venv.sh.
.venv-linters/bin/python -m pip install --quiet --no-input --disable-pip-version-check --only-binary :all: \
	--require-hashes --no-deps -r "$lock"
said=$(.venv-linters/bin/python -m pip check --disable-pip-version-check) || fail "The lock does not fit together: $said"
printf '%s\n' "$stamp" >.venv-linters/.stamp
