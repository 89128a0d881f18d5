# txtop: `make run` shows it, `make test` checks it. Needs Python 3.11 or newer, nothing else.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt
STAMP := $(VENV)/.txtop
NEW_ENOUGH := import sys, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(firstword $(foreach name,python3.11 python3 python3.12 python3.13 python3.14 python,\
	$(shell $(name) -c '$(NEW_ENOUGH)' 2>/dev/null && echo $(name))))

# A process that may not keep what it compiled compiles it at each start: 7 s for torch and transformers.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help run test lint types layers unit slow kills bench wheel format clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:[^#]*## /\t/' | expand -t 10

run: ARGS ?= run --preset quick
run: $(STAMP)-run ## install once, then measure the quick preset live; ARGS="..." passes other arguments
	@$(BIN)/txtop $(ARGS)

test: PIP += --no-compile
test: $(STAMP)-dev ## every check that CI makes
	@$(MAKE) --no-print-directory -j 2 lint types layers unit T="$(T)"

lint: $(STAMP)-dev ## style and format
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: $(STAMP)-dev ## strict type checking
	@$(BIN)/mypy

layers: $(STAMP)-dev ## who may import whom
	@$(BIN)/lint-imports --no-logo

unit: $(STAMP)-compiled ## the tests but the slow ones; T="..." passes arguments to pytest
	@$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder $(T)

slow: $(STAMP)-dev ## the slow tests
	@$(BIN)/python -m pytest -m slow $(T)

kills: $(STAMP)-dev ## kill -9 of every kind of process at drawn moments; ARGS="--runs 200 --seed 1"
	@$(BIN)/python tests/support/kills.py $(ARGS)

bench: $(STAMP)-dev ## the measurements that print
	@set -e; for script in tests/bench/*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

wheel: $(STAMP)-dev ## build the wheel and the source archive into dist/
	@$(BIN)/python -m build --no-isolation >/dev/null
	@ls dist

format: $(STAMP)-dev ## rewrite the sources in the project's format
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

clean: ## remove the environment and everything built
	@rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "txtop needs Python 3.11 or newer (make PYTHON=/path/to/python3)" >&2; exit 1; }
	@echo "An environment in $(VENV), then three installs: once, some minutes" >&2
	@$(PYTHON) -m venv $(VENV)

# The largest parts first and by themselves, each with pip's own progress, so that none is silent long.
$(STAMP)-parts: constraints.txt | $(BIN)/python
	@echo "1 of 3: torch, the largest" >&2
	@$(PIP) torch
	@echo "2 of 3: transformers and torchao" >&2
	@$(PIP) transformers torchao
	@touch $@

$(STAMP)-run: pyproject.toml constraints.txt $(STAMP)-parts
	@echo "3 of 3: txtop and its other libraries" >&2
	@$(PIP) -e .
	@touch $@

$(STAMP)-dev: pyproject.toml constraints.txt $(STAMP)-parts
	@echo "3 of 3: txtop, its other libraries and its checks" >&2
	@$(PIP) -e '.[dev]'
	@touch $@ $(STAMP)-run

# One process compiles what the tests import; three that begin at once would each compile all of it.
$(STAMP)-compiled: $(STAMP)-dev
	@$(BIN)/python -m pytest --collect-only >/dev/null 2>&1 || true
	@touch $@
