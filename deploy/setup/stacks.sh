#!/usr/bin/env bash
# What brings the product to AWS, looked at by linters: templates, image and scripts. Nothing of it asks the network.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
. deploy/setup/apt.sh
failed=0

# With what is only for information as well.
.venv/bin/cfn-lint --include-checks I -- deploy/cloudformation/*.yaml || failed=1

# Without these it asks Prisma Cloud for more rules, and PyPI for a newer version of itself.
export CKV_SKIP_PACKAGE_UPDATE_CHECK=True
checkov() {
	local said
	# A rule that is skipped is skipped at its resource, with the reason beside it.
	said=$(.venv-linters/bin/checkov --skip-download --compact --quiet "$@" 2>&1) || failed=1
	printf '%s\n' "$said"
	# A file that it cannot read is none that it found in order.
	if grep -q 'Parsing errors' <<<"$said"; then failed=1; fi
}
checkov --framework cloudformation --directory deploy/cloudformation
if [ -e Dockerfile ]; then
	checkov --framework dockerfile --file Dockerfile
	.venv/bin/hadolint Dockerfile || failed=1
fi

# Every script, with an ending or without.
mapfile -t scripts < <(git ls-files -co --exclude-standard -- deploy .ci |
	while read -r file; do [ -f "$file" ] && head -n 1 "$file" | grep -qE '^#!.*sh|^# shellcheck shell' && echo "$file"; done)
.venv/bin/shellcheck --external-sources "${scripts[@]}" || failed=1

[ "$failed" = 0 ] || fail "A linter found something in deploy/."
say "Templates, image and ${#scripts[@]} scripts are in order"
