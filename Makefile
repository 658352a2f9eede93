# Everything a developer or an operator of a checkout does. `make help` lists it.
.DEFAULT_GOAL := help
.PHONY: help setup up test test-all test-slow test-ui lint format types imports check bench lock docs clean
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
NO_INDEX_SETTINGS := --no-emit-index-url --no-emit-find-links --no-header --universal --python-version 3.11 --generate-hashes
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || echo /usr/bin/chromium)
export DATABASE_URL
export ENTREPOT_CHROMIUM := $(CHROMIUM)

help: ## List the targets
	@grep -hE '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP) ## Make .venv from the locked, hash-checked versions (seconds when nothing changed)

$(STAMP): requirements/dev.lock pyproject.toml hatch_build.py .ci/make-environment
	@PYTHON="$(PYTHON)" bash .ci/make-environment $(VENV)
	@touch $(STAMP)

up: setup ## Run the hub with its demo marketplaces; options: make up ARGS="--no-demo --port 8080"
	@exec $(BIN)/entrepot up $(ARGS)

test: setup ## Run the tests on the embedded PostgreSQL, or: make test DATABASE_URL=postgresql://...
	$(BIN)/pytest -n auto -m "not ui and not slow" $(ARGS)

test-all: setup ## Run the tests with the slow ones
	$(BIN)/pytest -n auto -m "not ui" $(ARGS)

test-slow: setup ## Run only the slow tests: proofs that take their time
	$(BIN)/pytest -n auto -m "slow and not ui" $(ARGS)

test-ui: setup ## Run the tests in a real browser
	$(BIN)/pytest -m ui $(ARGS)

coverage: setup ## Run the tests and show what they do not reach
	$(BIN)/pytest -n auto -m "not ui and not slow" --cov --cov-report=term $(ARGS)

lint: setup ## Style and likely mistakes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup ## Put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: setup ## Types, strictly
	$(BIN)/mypy

imports: setup ## Which room may import which
	$(BIN)/lint-imports

check: lint types imports test ## All of the above but the browser

bench: setup ## All benchmarks: a table, then one JSON object
	$(BIN)/python -m benchmarks all

bench-%: setup ## One benchmark, such as bench-core
	@$(BIN)/python -m benchmarks $*

lock: ## Renew requirements/*.lock from pyproject.toml
	$(BIN)/python -m uv pip compile pyproject.toml --extra sandbox $(NO_INDEX_SETTINGS) --upgrade -q -o requirements/base.lock
	$(BIN)/python -m uv pip compile pyproject.toml --extra sandbox --group dev $(NO_INDEX_SETTINGS) --upgrade -q -o requirements/dev.lock

docs: setup ## Make the generated pages of the documentation
	$(BIN)/python -m entrepot.settings > docs/reference/settings.md
	$(BIN)/python -m entrepot.agents.lifecycle > docs/reference/task-lifecycle.md

clean: ## Remove what make made; data directories stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage htmlcov dist build test-results
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -f src/entrepot/web/static/htmx.min.js
