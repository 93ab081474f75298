#!/usr/bin/env bash
# Make .venv hold what the locks say: `venv.sh run` for the application, `venv.sh test` for the tests as well.
#
# A stamp per set makes the second call fast. It covers the locks, the Python and whether mysqlclient can be built, so
# that a pulled change or newly installed headers are noticed. An interrupted call leaves .venv/.incomplete behind, and
# the next one starts over.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/setup/apt.sh
. deploy/setup/python.sh
wanted=${1:-run}

# mysqlclient has no wheel for Linux: it takes a compiler and two sets of headers.
can_build_mysqlclient() {
	command -v "${CC:-cc}" >/dev/null && command -v pkg-config >/dev/null || return 1
	pkg-config --exists mysqlclient || pkg-config --exists mariadb || pkg-config --exists libmariadb || return 1
	has_headers .venv/bin/python
}

# The lock of mysqlclient (1) or of everything else (0).
lock_of() { awk -v part="$1" '/^[^ #]/ { mine = /^mysqlclient==/ } mine == part' requirements.txt; }

# Wheels alone, but for mysqlclient: building from source would fetch build tools that no lock names. Without looking for
# dependencies: the lock is whole (`pip check` below says so), and where a package asks for another with extras, pip
# 23 takes the newest release instead of the locked one and then refuses it for want of a hash.
install() {
	.venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check --require-hashes --no-deps "$@"
}
check_whole() {
	local said
	said=$(.venv/bin/python -m pip check --disable-pip-version-check) || fail "The lock does not fit together: $said"
}

# Two calls at once would write over each other; the second waits.
exec 9<requirements.txt
flock 9

if [ -e .venv/.incomplete ] || ! is_new_enough .venv/bin/python; then
	python=$(find_python) || fail "Python 3.11 or newer is needed; this machine has $(said_version)." \
		"Install it, or name it: PYTHON=/path/to/python3.11 make run"
	if ! makes_venvs "$python" && ! apt_install python3-venv; then
		fail "Python's venv module is missing. Run this, then try again: $(apt_line python3-venv)"
	fi
	say "Making .venv with $("$python" --version)"
	rm -rf .venv 2>/dev/null || fail "An old .venv is in the way and cannot be removed by $(id -un): $PWD/.venv"
	mkdir .venv
	touch .venv/.incomplete
	"$python" -m venv .venv
fi

if can_build_mysqlclient; then mysqlclient=1; else mysqlclient=0; fi
stamp_of() { { .venv/bin/python -VV; echo "mysqlclient $mysqlclient"; cat "$@"; } | sha256sum; }
stamp_run=$(stamp_of requirements.txt)
stamp_test=$(stamp_of requirements.txt tests/requirements.txt)
stamped() { [ "$(cat ".venv/.stamp-$1" 2>/dev/null)" = "$2" ]; }

if ! stamped run "$stamp_run"; then
	say "Installing the locked requirements into .venv (about a minute the first time)"
	touch .venv/.incomplete
	lock_of 0 >.venv/.lock
	install --only-binary :all: -r .venv/.lock
	check_whole
	if [ "$mysqlclient" = 1 ]; then
		lock_of 1 >.venv/.lock
		# Not worth failing for: SQLite does without, and `make test` looks for it by itself.
		install -r .venv/.lock || say "mysqlclient did not build; the lines above say why."
	fi
	rm .venv/.lock
	printf '%s\n' "$stamp_run" >.venv/.stamp-run
	rm .venv/.incomplete
fi
if [ "$wanted" = test ] && ! stamped test "$stamp_test"; then
	say "Installing the locked requirements of the tests"
	touch .venv/.incomplete
	install --only-binary :all: -r tests/requirements.txt
	check_whole
	printf '%s\n' "$stamp_test" >.venv/.stamp-test
	rm .venv/.incomplete
fi
if ! .venv/bin/python -c 'import MySQLdb' 2>/dev/null; then
	say "Without mysqlclient: no compiler or no MySQL headers here. SQLite works; for MySQL or MariaDB:" \
		"$(apt_line gcc python3-dev pkg-config default-libmysqlclient-dev)"
fi
