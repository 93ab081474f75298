#!/usr/bin/env bash
# Django's deployment checks under production settings: any warning fails. Nothing here is a real host or secret, and
# nothing is contacted.
set -euo pipefail
cd "$(dirname "$0")/../.."
secret=$(.venv/bin/python -c 'import secrets; print(secrets.token_urlsafe(50))')
certificates=$(.venv/bin/python -c 'import certifi; print(certifi.where())')
exec env -i PATH="$PATH" HOME="$HOME" LANG=C.UTF-8 \
	DJANGO_SETTINGS_MODULE=billing.settings.production \
	SECRET_KEY="$secret" \
	ALLOWED_HOSTS=billing.example.com \
	DATABASE_URL="mysql://billing:not-used@db.example.com:3306/billing" \
	AUDIT_DATABASE_URL="mysql://billing_audit:not-used@db.example.com:3306/billing_audit" \
	DATABASE_CA="$certificates" \
	EMAIL_URL="smtp+tls://billing:not-used@mail.example.com:587" \
	VAULT_ALARM_EMAILS=security@example.com \
	VAULT_BACKEND=aws \
	AWS_REGION=eu-central-1 \
	SURFACES=web \
	.venv/bin/python manage.py check --deploy --fail-level WARNING
