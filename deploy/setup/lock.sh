#!/usr/bin/env bash
# `make lock`: turn the two requirements.in into hashed locks. Arguments go to uv, for example --upgrade.
set -euo pipefail
cd "$(dirname "$0")/../.."
uv=$PWD/.venv/bin/uv
compile() {
	"$uv" pip compile --quiet --generate-hashes --python-version 3.11 --no-emit-index-url --no-header \
		requirements.in --output-file requirements.txt "$@"
}
compile "$@"
# Second, because the application's lock constrains this one.
cd tests
compile "$@"
