#!/usr/bin/env bash
# `make messages`: bring locale/ and vault/locale/ up to date with the code, and compile them. Twice gives no difference.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/setup/apt.sh

# Besides English, which stands in the code.
languages=(de)

command -v msgmerge >/dev/null || apt_install gettext || fail "gettext is missing. Run: $(apt_line gettext)"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export DATA_DIR=$scratch DJANGO_SETTINGS_MODULE=billing.settings.local
# The API speaks English, and so do its pages.
.venv/bin/python manage.py makemessages --verbosity 0 "${languages[@]/#/--locale=}" --add-location file --no-wrap \
	--no-obsolete --ignore '.venv' --ignore 'tests' --ignore 'clients' --ignore 'docs' --ignore 'benchmarks' \
	--ignore 'data' --ignore 'templates/api'
for file in {locale,vault/locale}/*/LC_MESSAGES/django.po; do
	# When somebody last looked says nothing, and would differ with every look.
	sed -i '/^"POT-Creation-Date: /d' "$file"
	msgfmt --check --output-file "${file%.po}.mo" "$file"
done
