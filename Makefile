# Two commands do all the set-up: `make run` and `make test`. Everything is installed into .venv.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON := .venv/bin/python
# Where it is set, each of the hundreds of processes that the tests start would compile the portal anew.
export PYTHONDONTWRITEBYTECODE :=
PORT ?= 8000
ARGS ?=
IMAGE ?= localhost/keyportal:latest
# A file's tests stay together, because they share started servers; and in order, because Chromium's come last.
# Three at a time on two cores, because many wait for a server.
PYTEST := $(PYTHON) -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: help run test quick coverage mutants lint conformance configuration reference verdicts hashes dev audit image drill bench screenshots lighthouse clean

help: ## Show what there is to make
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: .venv/.runtime ## Start a working portal on this machine (PORT=8000)
	@deploy/local/run $(PORT)

test: .venv/.dev ## Run everything: on SQLite and on PostgreSQL, unit to browser (ARGS= for pytest)
	@without="$$(deploy/local/system-packages)"
	export KEYPORTAL_TEST_WITHOUT="$$without"
	$(PYTEST)
	if [[ ",$$without," != *,postgresql,* ]]; then
	  $(PYTHON) -m tests.with_postgres $(PYTEST) -m "not once"
	fi

quick: .venv/.dev ## Run what starts nothing, on SQLite: what a programmer runs every minute (ARGS= for pytest)
	env -u DATABASE_URL $(PYTHON) -m pytest -n 2 --dist load -m quick -q $(ARGS)

coverage: .venv/.dev ## Say which lines the quick tests leave out; fails below 90 % (not a part of test)
	env -u DATABASE_URL $(PYTHON) -m pytest -n 2 --dist load -m quick -q --cov $(ARGS)

mutants: .venv/.dev ## Break the code on purpose, and see that the tests notice (over an hour; not a part of test)
	@[[ -z "$$(deploy/local/system-packages)" ]]
	.venv/bin/mutmut run
	$(PYTHON) -m tests.survivors
	$(PYTHON) -m tests.mutants

lint: .venv/.dev ## Check style, types, the floors of the house, and missing migrations
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/mypy --config-file clients/python/pyproject.toml clients/python/keyportal_client
	.venv/bin/lint-imports
	DJANGO_SETTINGS_MODULE=tests.settings $(PYTHON) manage.py makemigrations --check --dry-run
	DJANGO_SETTINGS_MODULE=tests.settings $(PYTHON) -m tests.api_description.write --check

conformance: .venv/.dev ## Write docs/conformance.md, and what docs/threat-model.md says of findings, from the marks of the tests
	$(PYTHON) -m tests.conformance.report
	$(PYTHON) -m tests.findings_page

configuration: .venv/.dev ## Write the tables of settings (docs/configuration.md), findings (docs/doctor.md) and metrics (docs/operations.md)
	$(PYTHON) -m tests.configuration_page
	DJANGO_SETTINGS_MODULE=tests.settings $(PYTHON) -c "import django; django.setup(); from tests.metrics_page import write; write()"
	DJANGO_SETTINGS_MODULE=tests.settings $(PYTHON) -c "import django; django.setup(); from tests.doctor_page import write; write()"

reference: .venv/.dev ## Write the description of the API (OpenAPI) from its views
	DJANGO_SETTINGS_MODULE=tests.settings $(PYTHON) -m tests.api_description.write

verdicts: .venv/.dev ## Write clients/verdicts.json, the cases of everybody who judges credentials, from the portal's own check
	DJANGO_SETTINGS_MODULE=tests.settings $(PYTHON) -c "import django; django.setup(); from tests.clients.verdict_file import FILE, render; FILE.write_text(render())"

hashes: .venv/.runtime ## Write requirements-hashed.txt: the pinned packages with the hashes of their wheels (needs the network)
	$(PYTHON) deploy/local/write-hashes

dev: .venv/.dev ## Install what working on the portal needs

audit: .venv/.dev ## Look the pinned packages up in the advisory database (needs the network)
	.venv/bin/pip-audit -r requirements.txt -r requirements-tracing.txt --disable-pip --no-deps

image: .venv/.runtime ## Build the container image, as root and without a registry; fails above 120 MB (IMAGE=localhost/keyportal:latest)
	@[[ -z "$$(deploy/local/system-packages --only buildah debootstrap)" ]]
	deploy/container/build $(IMAGE)

drill: .venv/.dev ## Do for real what takes minutes: installing, the container; as root on Debian (ARGS= for pytest)
	@[[ -z "$$(deploy/local/system-packages buildah debootstrap)" ]]
	$(PYTHON) -m pytest -n 0 -m drill tests/drills $(ARGS)

bench: .venv/.bench ## Measure what the check of a credential costs, beside other libraries (ROUNDS=10 SECONDS=2)
	@[[ -z "$$(deploy/local/system-packages wrk)" ]]
	PYTHONPATH=clients/python $(PYTHON) -m benchmarks.table

screenshots: .venv/.dev ## Take a picture of every page in every state into var/screenshots (ARGS="keys key-rotate" for some)
	@[[ -z "$$(deploy/local/system-packages)" ]]
	$(PYTHON) -m tests.pictures $(ARGS)

lighthouse: .venv/.dev ## Let Lighthouse (npm) judge the pages that most people see; fails below what we promise
	@[[ -z "$$(deploy/local/system-packages npm)" ]]
	npm install --silent --no-fund --no-audit --prefix var/lighthouse lighthouse@13.5.0
	LIGHTHOUSE=var/lighthouse/node_modules/.bin/lighthouse $(PYTHON) -m tests.lighthouse

clean: ## Take away the virtual environment and what tests leave; keeps .env and the database
	rm -rf .venv mutants .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.ONESHELL:

.venv/bin/python:
	@deploy/local/virtual-environment

.venv/.runtime: requirements.txt | .venv/bin/python
	@echo "Installing what the portal needs …"
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

.venv/.bench: benchmarks/requirements.txt .venv/.dev
	@echo "Installing what the benchmarks compare with …"
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	touch $@

.venv/.dev: requirements-dev.txt requirements-tracing.txt requirements.txt | .venv/bin/python
	@echo "Installing what working on the portal needs …"
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@ .venv/.runtime
