# shellcheck shell=bash
# Which program builds and pushes images here. Sourced by its neighbors; sets `builder`.

say() { printf '==> %s\n' "$*" >&2; }
fail() {
	printf '!!! %s\n' "$*" >&2
	exit 1
}

builder=${BUILDER:-}
for candidate in docker podman buildah; do
	# A docker without an engine is no builder.
	[ -n "$builder" ] || ! "$candidate" info >/dev/null 2>&1 || builder=$candidate
done
case $builder in
docker | podman | buildah) ;;
"") fail "There is no docker, podman or buildah here. Install one of them." ;;
*) fail "BUILDER must be docker, podman or buildah." ;;
esac
command -v "$builder" >/dev/null || fail "BUILDER names a program that is not installed: $builder"
