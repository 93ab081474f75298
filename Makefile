# Two commands matter: `make run` and `make test`. The work is done by the scripts in deploy/setup.

.DEFAULT_GOAL := help
.PHONY: help run token test lint types imports migrations check-deploy stacks test-sqlite test-mariadb upgrades coverage format bench bench-audit bench-pages bench-costs bench-requests schema client messages access contract false-alarms accounting mutants load load-tokens load-import load-steady load-orders image lock venv

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## set up and serve on http://localhost:8000 (PORT, DATA_DIR, DEMO_PASSWORD)
	@deploy/setup/run.sh

token: ## print a new API token for the demo that `make run` serves (DATA_DIR)
	@deploy/setup/token.sh

test: ## set up and run every check and test, on SQLite and MariaDB
	@deploy/setup/test.sh

lint: ## ruff, check and format
	@deploy/setup/test.sh lint

types: ## mypy
	@deploy/setup/test.sh types

imports: ## import-linter: who may call whom
	@deploy/setup/test.sh imports

migrations: ## no model change without its migration
	@deploy/setup/test.sh migrations

check-deploy: ## Django's deployment checks under production settings
	@deploy/setup/test.sh check-deploy

stacks: ## linters of the templates, the image and the scripts of deploy/
	@deploy/setup/test.sh stacks

test-sqlite: ## pytest on SQLite (ARGS="-k name")
	@deploy/setup/test.sh sqlite

test-mariadb: ## pytest on a private MariaDB (ARGS="-k name")
	@deploy/setup/test.sh mariadb

upgrades: ## whether the version before works with this one's migrations, tables and cards (a minute; a part of `make test`)
	@deploy/setup/test.sh upgrades

coverage: ## pytest on SQLite, and how much of the code it ran
	@deploy/setup/test.sh sqlite coverage

format: venv ## let ruff put the code in order
	@.venv/bin/ruff check --fix --quiet; .venv/bin/ruff format

bench: venv ## everything beside its peer, in one run; writes the table of docs/benchmarks.md (about 20 minutes)
	@.venv/bin/python -m tests.mariadb --durable -- .venv/bin/python -W ignore -m benchmarks

bench-audit: venv ## what the audit log costs with eight writers (about 2 minutes)
	@DATA_DIR=$$(mktemp -d) .venv/bin/python -m tests.mariadb --durable -- .venv/bin/python -m benchmarks.audit_writers

bench-pages: venv ## how long the lists of orders take with 10,000 of them, on SQLite and MariaDB (about 2 minutes)
	@DATA_DIR=$$(mktemp -d) .venv/bin/python -m benchmarks.pages
	@DATA_DIR=$$(mktemp -d) .venv/bin/python -m tests.mariadb --durable -- .venv/bin/python -m benchmarks.pages

bench-costs: venv ## what a million cards cost at AWS, from counted calls (half a minute)
	@DATA_DIR=$$(mktemp -d) .venv/bin/python -m benchmarks.costs 2>/dev/null

bench-requests: venv ## processor time, queries and calls of AWS of a request (about 4 minutes; REQUESTS)
	@DATA_DIR=$$(mktemp -d) .venv/bin/python -m tests.mariadb --durable -- .venv/bin/python -W ignore -m benchmarks.requests 2>/dev/null

schema: venv ## write docs/openapi.json from the code
	@deploy/setup/schema.sh

client: venv ## make clients/python anew from docs/openapi.json
	@deploy/setup/client.sh

messages: venv ## bring locale/ and vault/locale/ up to date with the code, and compile them
	@deploy/setup/messages.sh

access: venv ## write docs/access.md, who may open what, from tests/access/table.py
	@DATA_DIR=$$(mktemp -d) .venv/bin/python -W ignore -m tests.access.document

LOADED = DATA_DIR=$$(mktemp -d) LOAD=full .venv/bin/python -m tests.mariadb --durable -- .venv/bin/python -m pytest -s --durations=4 $(ARGS)

load: load-tokens load-orders load-import load-steady ## every load of docs/load.md, one after the other (2 hours and a half)

load-tokens: venv ## 64 threads and 4 processes that tokenize one card; 64 that read and write (8 minutes; LOAD_CARDS, LOAD_OPERATIONS)
	@$(LOADED) tests/load/test_tokenizing.py

load-orders: venv ## lists, searches and export of a million orders (25 minutes; LOAD_ORDERS)
	@$(LOADED) tests/load/test_orders.py

load-import: venv ## an import of a million rows, killed once (85 minutes, by the rate of 20,000; LOAD_ROWS)
	@$(LOADED) tests/load/test_importing.py

load-steady: venv ## a server at 70 % (32 minutes; LOAD_SECONDS)
	@$(LOADED) tests/load/test_steady.py

contract: venv ## schemathesis for long, on SQLite (CONTRACT_EXAMPLES, CONTRACT_SEED, ARGS)
	@DATA_DIR=$$(mktemp -d) CONTRACT_EXAMPLES=$${CONTRACT_EXAMPLES:-200} .venv/bin/python -m pytest tests/contract $(ARGS)

false-alarms: venv ## whether 100,000 of each kind of number pass for a card number, or how many (about 5 minutes)
	@FALSE_ALARM_DRAWS=$${FALSE_ALARM_DRAWS:-100000} .venv/bin/python -m pytest tests/hostile/test_false_alarms.py $(ARGS)

accounting: venv ## 10,000 operations under kills and faults, then 2,000 on moto (50 minutes on two busy cores; SEED, OPERATIONS, WORKERS)
	@.venv/bin/python -m tests.accounting --seed "$(SEED)" --operations $(or $(OPERATIONS),10000) --workers $(or $(WORKERS),4)

mutants: venv ## change the innermost rooms and see that a test notices (about an hour on two busy cores; MUTANTS="pan policy" does these alone, pan, tokens and fingerprints a minute)
	@.venv/bin/python -m tests.mutation $(MUTANTS)

image: ## build the image of ECS and look at what is in it, with docker, podman or buildah (IMAGE, BUILDER; 3 minutes)
	@deploy/image/build.sh $(or $(IMAGE),billing:$(shell git rev-parse --short HEAD)) $(ARGS)

lock: venv ## turn each requirements.in into a hashed lock (ARGS="--upgrade")
	@deploy/setup/lock.sh $(ARGS)

venv: ## only set up .venv, with what the tests need
	@deploy/setup/venv.sh test
