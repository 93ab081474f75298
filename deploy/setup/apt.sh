# shellcheck shell=bash
# Debian packages: installed with root or passwordless sudo, otherwise named in one line. Sourced by its neighbors.

say() { printf '==> %s\n' "$*"; }
fail() {
	printf '!!! %s\n' "$*" >&2
	exit 1
}

# The line a person runs to get the packages.
apt_line() {
	if [ "$(id -u)" = 0 ]; then
		printf 'apt-get update && apt-get install -y %s' "$*"
	else
		printf 'sudo apt-get update && sudo apt-get install -y %s' "$*"
	fi
}

# Install the packages. False, without a word, if this user may not or if apt-get fails.
apt_install() {
	local root=()
	command -v apt-get >/dev/null || return 1
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null && sudo -n true 2>/dev/null || return 1
		root=(sudo -n)
	fi
	say "Installing $*"
	"${root[@]}" apt-get update -qq &&
		"${root[@]}" env DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "$@" >/dev/null
}
