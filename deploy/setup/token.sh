#!/usr/bin/env bash
# `make token`: a new API token for the demo's service account, alone on stdout. Safe to repeat: the account has two live
# ones at most, and the oldest makes room.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/setup/apt.sh
. deploy/setup/local.sh

missing="There is no demo in $DATA_DIR. Run \`make run\` first, and leave it running; DATA_DIR is the same for both."
if ! [ -x .venv/bin/python ] || ! [ -d "$DATA_DIR/vault" ]; then
	fail "$missing"
fi
umask 077
# A token that opens the vault is an alarm; it is recorded, and here it is what was asked for.
LOG_LEVEL=CRITICAL manage create_api_token shop-api --replace-oldest || fail "$missing"
