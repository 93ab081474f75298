# shellcheck shell=bash
# Sourced by what works with the data of `make run`: the same settings, the same folder.
DATA_DIR=$(realpath -m "${DATA_DIR:-data}")
export DATA_DIR
export DJANGO_SETTINGS_MODULE=billing.settings.local VAULT_BACKEND=embedded PYTHONUNBUFFERED=1
unset SURFACES

# What a command does to cards is in the audit log; on the screen it would hide what the command says.
manage() { .venv/bin/python manage.py "$@" 2> >(grep -v '^{"row"' >&2); }
