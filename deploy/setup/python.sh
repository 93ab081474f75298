# shellcheck shell=bash
# Which Python makes .venv. Sourced by its neighbors.

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
makes_venvs() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }
has_headers() {
	"$1" -c 'import pathlib, sys, sysconfig
sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())' 2>/dev/null
}
said_version() { "${PYTHON:-python3}" --version 2>/dev/null || echo none; }

# The first that is new enough, and of these the first that makes environments by itself. False if there is none.
#
# The distribution's comes first: Debian's is what the image runs, and was built along a profile. One that was compiled
# at home mostly was not, and runs up to half as long again.
find_python() {
	local candidate found=
	for candidate in ${PYTHON:-/usr/bin/python3 python3.11 python3 python3.12 python3.13}; do
		is_new_enough "$candidate" || continue
		if makes_venvs "$candidate"; then
			printf '%s' "$candidate"
			return
		fi
		found=${found:-$candidate}
	done
	[ -n "$found" ] && printf '%s' "$found"
}

# The one that .venv has or will have; empty if there is none.
python_of_venv() {
	if [ ! -e .venv/.incomplete ] && is_new_enough .venv/bin/python; then
		printf .venv/bin/python
	else
		find_python
	fi
}
