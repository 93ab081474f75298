#!/usr/bin/env bash
# `make image`: build the image under a name, and look at what is in it. More arguments go to the builder, as in
#
#     deploy/image/build.sh billing:trial --build-arg RDS_CA=deploy/image/rds.pem
#
# BUILDER is docker, podman or buildah, whichever is there; PLATFORM is that of the tasks, PULL=false takes
# the base image that is here.
set -euo pipefail
cd "$(dirname "$0")/../.."
. deploy/image/builder.sh

name=${1:?"the name of the image, such as billing:trial"}
shift
commit=$(git rev-parse HEAD)
# The commit stands for what is in the image, so it must be all of that.
[ -z "$(git status --porcelain --untracked-files=no)" ] || commit=""
say "Building $name with $builder"
case $builder in
# OCI's own format has no health check.
buildah) build=(build --format docker) ;;
podman) build=(build --format docker) ;;
*) build=(build) ;;
esac
# A laptop may have another processor than Fargate.
platform=${PLATFORM-linux/amd64}
[ -z "$platform" ] || build+=(--platform "$platform")
"$builder" "${build[@]}" --pull="${PULL:-true}" --build-arg SOURCE_COMMIT="$commit" \
	--tag "$name" "$@" .

say "Looking at what is in it"
if [ "$builder" = buildah ]; then
	container=$(buildah from --pull=false "$name")
	trap 'buildah rm "$container" >/dev/null' EXIT
	buildah run --user 0 "$container" -- python - <deploy/image/contents.py
else
	"$builder" run --rm --interactive --user 0 --network none --entrypoint python "$name" - <deploy/image/contents.py
fi
