#!/usr/bin/env bash
# `make client`: the Python client, made anew from docs/openapi.json. Another folder as argument leaves ours alone.
set -euo pipefail
cd "$(dirname "$0")/../.."

description=$PWD/docs/openapi.json
package=${1:-clients/python/billing_client}
export PATH=$PWD/.venv/bin:$PATH
rm -rf "$package"
openapi-python-client generate --path "$description" --output-path "$package" --meta none --config clients/python/generator.yml
touch "$package/py.typed"

# A consumer's log must not print a card number: it is in no `repr` of a request or an answer.
find "$package/models" -name '*.py' -exec sed -i -E \
	-e 's/^    pan: str$/    pan: str = _attrs_field(repr=False)/' \
	-e 's/^    pan: (str \| Unset) = UNSET$/    pan: \1 = _attrs_field(default=UNSET, repr=False)/' {} +
# Without the rules of this repository, which would differ where the client is.
ruff check --isolated --quiet --fix-only --select F,I,UP "$package"
ruff format --isolated --quiet --line-length 120 "$package"
