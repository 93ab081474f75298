#!/usr/bin/env bash
# `make lock`: turn each requirements.in into a hashed lock. Arguments go to uv, for example --upgrade.
set -euo pipefail
cd "$(dirname "$0")/../.."
uv=$PWD/.venv/bin/uv
compile() {
	"$uv" pip compile --quiet --generate-hashes --python-version 3.11 --no-emit-index-url --no-header \
		requirements.in --output-file requirements.txt "$@"
}
compile "$@"
# Second, because the application's lock constrains this one.
(cd tests && compile "$@")
cd deploy/image
compile "$@"
