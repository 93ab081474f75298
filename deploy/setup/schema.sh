#!/usr/bin/env bash
# `make schema`: write docs/openapi.json, the API's description, from the code. A test compares the two.
set -euo pipefail
cd "$(dirname "$0")/../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
DATA_DIR=$scratch DJANGO_SETTINGS_MODULE=billing.settings.test .venv/bin/python manage.py spectacular \
	--skip-checks --format openapi-json --validate --fail-on-warn --file docs/openapi.json
