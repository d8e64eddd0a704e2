# Everything runs from a virtual environment in .venv, made on first use and renewed when
# pyproject.toml changes. Needed beforehand: make, and Python 3.11 or newer.

# The first interpreter that is new enough; `make PYTHON=/path/to/python demo` overrides it.
CANDIDATES := python3 python3.13 python3.12 python3.11 python
PYTHON ?= $(shell for python in $(CANDIDATES); do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo "$$python" && break; done)

VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types contracts bench campaign campaign-short format clean

help:
	@echo 'make demo    a year of flights through Ray on this machine'
	@echo 'make test    the test suite'
	@echo 'make check   lint, types, import contracts, tests: what CI runs'
	@echo 'make bench   the figures of the engine, the runner and the journal, into bench-results/'
	@echo 'make campaign       kill, fill, lock and poison for an hour; a table of what came of it'
	@echo 'make campaign-short a little of that, in two minutes: what CI runs'
	@echo 'make format  rewrite the code in the house style'
	@echo 'make clean   remove the environment and every cache'

demo: $(VENV)/.installed
	@$(BIN)/python -m examples.flights_demo

test: $(VENV)/.installed-test
	@$(BIN)/python -m pytest

check: lint types contracts test

lint: $(VENV)/.installed-dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: $(VENV)/.installed-dev
	@$(BIN)/mypy

contracts: $(VENV)/.installed-dev
	@$(BIN)/lint-imports

bench: $(VENV)/.installed-bench
	@mkdir -p bench-results
	@$(BIN)/treerunner bench engine --json bench-results/engine.json --picture bench-results/engine.svg
	@$(BIN)/treerunner bench runner --json bench-results/runner.json --picture bench-results/runner.svg
	@$(BIN)/treerunner bench journal --json bench-results/journal.json --picture bench-results/journal.svg

campaign: $(VENV)/.installed-test
	@$(BIN)/python -m tests.campaign --json bench-results/campaign.json

campaign-short: $(VENV)/.installed-test
	@$(BIN)/python -m tests.campaign --short --json bench-results/campaign-short.json

format: $(VENV)/.installed-dev
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache *.egg-info

# ------------------------------------------------------------------ the environment

# A stamp is written only after a whole install, so an interrupted one is taken up again.
$(VENV)/.created:
	@test -n '$(PYTHON)' || { echo 'Python 3.11 or newer was not found; name one with PYTHON=...' >&2; exit 1; }
	@echo "creating $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.created
	@echo 'installing treerunner and what it needs (once)'
	@$(PIP_INSTALL) --editable .
	@touch $@

$(VENV)/.installed-%: pyproject.toml $(VENV)/.created
	@echo 'installing treerunner[$*] (once)'
	@$(PIP_INSTALL) --editable '.[$*]'
	@touch $(VENV)/.installed $@
