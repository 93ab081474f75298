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

# A consumer's log must not print a card number, nor the token of its account: neither is in any `repr`.
find "$package/models" -name '*.py' -exec sed -i -E \
	-e 's/^    pan: str$/    pan: str = _attrs_field(repr=False)/' \
	-e 's/^    pan: (str \| Unset) = UNSET$/    pan: \1 = _attrs_field(default=UNSET, repr=False)/' {} +
sed -i -E -e 's/^from attrs import define$/from attrs import define, field/' \
	-e 's/^    content: bytes$/    content: bytes = field(repr=False)/' "$package/types.py"
sed -i -E -e 's/^    token: str$/    token: str = field(repr=False)/' \
	-e 's/^    (_headers: .* = field\()/    \1repr=False, /' "$package/client.py"
# Without the rules of this repository, which would differ where the client is.
ruff check --isolated --quiet --fix-only --select F,I,UP "$package"
ruff format --isolated --quiet --line-length 120 "$package"
