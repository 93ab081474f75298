#!/usr/bin/env bash
# `make run`: set up what is missing, then serve the demo on the loopback address. Safe to repeat over the same data.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/setup/apt.sh
. deploy/setup/local.sh

export PORT=${PORT:-8000}

if ! [[ $PORT =~ ^[1-9][0-9]{0,4}$ ]] || ((PORT > 65535)); then
	fail "PORT must be a number from 1 to 65535, not '$PORT'."
fi
is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; }
# The workers of a killed server need a moment to notice.
for _ in 1 2 3 4 5 6; do
	is_taken || break
	sleep 0.5
done
! is_taken || fail "Port $PORT is taken by another program. Choose one: PORT=$((PORT == 65535 ? 8001 : PORT + 1)) make run"
# Orders, keys and the embedded vault are for this user alone.
if ! (umask 077 && mkdir -p "$DATA_DIR" 2>/dev/null) || ! [ -w "$DATA_DIR" ]; then
	fail "The data folder cannot be written: $DATA_DIR. Choose another: DATA_DIR=/path make run"
fi
deploy/setup/venv.sh run
umask 077

say "Bringing the database up to date"
manage migrate --verbosity 0
manage migrate --database audit --verbosity 0
manage createcachetable --verbosity 0
say "Provisioning the embedded vault"
manage vault_provision | sed '/^unchanged/d'
# Hashing and compressing a thousand files is the slow part of a start.
stamp=$(cat requirements.txt <(find static orders vault -type f -path "*static/*" -print0 | sort -z | xargs -0r sha256sum) |
	sha256sum)
if [ "$(cat "$DATA_DIR/static.stamp" 2>/dev/null)" != "$stamp" ]; then
	say "Collecting static files"
	manage collectstatic --no-input --verbosity 0
	printf '%s\n' "$stamp" >"$DATA_DIR/static.stamp"
fi
say "Filling in the demo data"
# Giving rights to the demo's users is an alarm; it is recorded, and here it is what was asked for.
LOG_LEVEL=CRITICAL manage demo --url "http://localhost:$PORT"
manage vault_audit seal >/dev/null
exec .venv/bin/python -m gunicorn --config billing/gunicorn_conf.py billing.wsgi
