#!/usr/bin/env bash
# `make test`: set up, then every check and test. Names of steps as arguments run only those.
#
# What this machine lacks is installed with root or passwordless sudo. Otherwise the rest still runs, and the end is a
# failure that names the line to type. REQUIRE_MARIADB=1 (CI) does not wait for the end.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
. deploy/setup/apt.sh
. deploy/setup/python.sh

steps=("$@")
[ ${#steps[@]} -gt 0 ] || steps=(lint types imports migrations check-deploy stacks sqlite mariadb coverage mutants)
wants() { [[ " ${steps[*]} " == *" $1 "* ]]; }

# Debian installs servers where a user's PATH does not look.
export PATH=$PATH:/usr/sbin:/sbin
missing_packages() {
	local packages=()
	if wants mariadb || wants check-deploy || wants upgrades; then
		command -v mariadbd >/dev/null && command -v mariadb-install-db >/dev/null || packages+=(mariadb-server)
		command -v "${CC:-cc}" >/dev/null || packages+=(gcc libc6-dev)
		command -v pkg-config >/dev/null || packages+=(pkg-config)
		[ -e /usr/include/mariadb/mysql.h ] || [ -e /usr/include/mysql/mysql.h ] || packages+=(default-libmysqlclient-dev)
		has_headers "$(python_of_venv)" || packages+=(python3-dev)
	fi
	if wants sqlite || wants mariadb; then
		command -v chromium >/dev/null || packages+=(chromium)
		command -v msgmerge >/dev/null || packages+=(gettext)
	fi
	printf '%s' "${packages[*]}"
}

failed=()
missing=$(missing_packages)
if [ -n "$missing" ]; then
	# shellcheck disable=SC2086 # a list of words
	apt_install $missing || true
	missing=$(missing_packages)
fi
if [ -n "$missing" ]; then
	failed+=("packages missing; run: $(apt_line "$missing")")
	say "Missing packages: $missing. Going on without them."
fi
deploy/setup/venv.sh test || exit 1

has_mysqlclient() { .venv/bin/python -c 'import MySQLdb' 2>/dev/null; }
has_mariadb() { has_mysqlclient && command -v mariadbd >/dev/null; }
if [ -n "${REQUIRE_MARIADB:-}" ] && wants mariadb && ! has_mariadb; then
	fail "MariaDB or mysqlclient is missing. Run: $(apt_line "${missing:-mariadb-server default-libmysqlclient-dev pkg-config gcc python3-dev}")"
fi

# The tests see nothing of the person's own data, database or account.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
unset DATABASE_URL VAULT_BACKEND VAULT_ENDPOINT_URL SURFACES AWS_PROFILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
export DATA_DIR=$scratch/data DJANGO_SETTINGS_MODULE=billing.settings.test AWS_EC2_METADATA_DISABLED=true
mkdir "$DATA_DIR"

step() {
	local name=$1
	shift
	say "$name"
	"$@" || failed+=("$name")
}
run_pytest() { # where, then what goes before pytest
	local where=$1 counting=()
	shift
	# What ran is counted on SQLite alone: counting slows the tests down, and MariaDB runs the same code.
	[ "$where" = mariadb ] || counting=(--cov --cov-report=)
	# shellcheck disable=SC2086 # ARGS is a list of words
	"$@" .venv/bin/python -m pytest "${counting[@]}" --junitxml="$scratch/$where.xml" \
		${PYTEST_WORKERS:+-n "$PYTEST_WORKERS"} ${ARGS:-}
}
lint() { .venv/bin/ruff check && .venv/bin/ruff format --check; }
coverage() {
	.venv/bin/coverage report && .venv/bin/coverage report --include='vault/*' --fail-under=95
}

started=$SECONDS
if wants sqlite || wants mariadb; then .venv/bin/coverage erase; fi
wants lint && step "ruff" lint
wants types && step "mypy" .venv/bin/mypy
wants imports && step "import-linter" .venv/bin/lint-imports
wants migrations && step "makemigrations --check" .venv/bin/python manage.py makemigrations --check --dry-run
if wants check-deploy; then
	if has_mysqlclient; then
		step "check --deploy" deploy/setup/check-deploy.sh
	else
		failed+=("check --deploy needs mysqlclient")
	fi
fi
stacks() { deploy/setup/linters.sh && deploy/setup/stacks.sh; }
wants stacks && step "templates, image and scripts" stacks
if wants sqlite; then
	# They take minutes, and say the most on the database that a shop would have.
	if wants mariadb && has_mariadb; then
		step "pytest on SQLite" run_pytest sqlite env PYTEST_ADDOPTS="-m 'not (killed or browser or long)'"
	else
		step "pytest on SQLite" run_pytest sqlite
	fi
fi
if wants mariadb; then
	if has_mariadb; then
		# What says the same on either database has said it on SQLite.
		if wants sqlite; then export PYTEST_ADDOPTS="-m 'not either'"; fi
		step "pytest on MariaDB" run_pytest mariadb .venv/bin/python -m tests.mariadb --
	else
		failed+=("pytest on MariaDB did not run")
	fi
fi
# A part of the step before, which has it in `make test`.
wants upgrades && step "the version before" env ARGS=tests/upgrades deploy/setup/test.sh mariadb
wants coverage && step "coverage of vault at least 95 %" coverage
# Those that take a minute; `make mutants` does the rest.
wants mutants && step "mutants of the value objects" env -u PYTEST_ADDOPTS .venv/bin/python -m tests.mutation pan tokens fingerprints

# One line at the end for people and for CI, in pytest's words.
count() {
	local total=0 number
	for number in $(cat "$scratch"/*.xml 2>/dev/null | grep -o '<testsuite [^>]*' | grep -o " $1=\"[0-9]*\"" | tr -dc '0-9\n'); do
		((total += number))
	done
	printf '%s' "$total"
}
broken=$(($(count failures) + $(count errors)))
skipped=$(count skipped)
for reason in "${failed[@]}"; do printf 'FAILED %s\n' "$reason" >&2; done
if wants sqlite || wants mariadb; then
	printf '==== %s%s passed, %s skipped in %ss ====\n' "$([ "$broken" = 0 ] || echo "$broken failed, ")" \
		"$(($(count tests) - broken - skipped))" "$skipped" "$((SECONDS - started))"
fi
[ ${#failed[@]} = 0 ]
