# Two commands are enough: `make up` and `make test`. Both work on a machine that has Python ≥ 3.11
# and make, and nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help up test test-faults test-long test-properties test-exactly-once test-browser lint types directions one-chain check constraints clean

help:
	@echo "make up         start carbon on http://127.0.0.1:8000"
	@echo "make test       the suite, PostgreSQL included"
	@echo "make test-browser  the pages in a real Chromium"
	@echo "make test-faults  the service killed, stopped, without disk, feed or database"
	@echo "make test-properties  each property on a thousand examples, where the suite takes fifty"
	@echo "make test-long  what takes long"
	@echo "make check      lint, types, directions of imports"

# A stamp per extra: nothing is installed anew while pyproject.toml stays as it is.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: carbon needs Python 3.11 or newer: set PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || $(MAKE) --no-print-directory bootstrap

# Debian splits ensurepip off: then pip comes from the system's own pip, virtualenv or uv.
.PHONY: bootstrap
bootstrap:
	@rm -rf $(VENV)
	@{ $(PYTHON) -m venv --without-pip $(VENV) && $(PYTHON) -m pip --python $(VENV)/bin/python install --quiet pip; } 2>/dev/null \
	  || $(PYTHON) -m virtualenv --quiet $(VENV) 2>/dev/null \
	  || uv venv --quiet --seed --python $(PYTHON) $(VENV) 2>/dev/null \
	  || { rm -rf $(VENV); echo "error: this Python cannot make a virtual environment: install its venv package (Debian: apt install python3-venv)"; exit 2; }

$(VENV)/.server: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing carbon (once) …"
	@$(INSTALL) --editable '.[server]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing carbon with its tests' needs (once) …"
	@$(INSTALL) --editable '.[dev]'
	@touch $@ $(VENV)/.server

up: $(VENV)/.server
	@exec $(BIN)/carbon up

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 3 --dist loadfile -m "not slow and not faults and not browser"

test-faults: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "faults and not slow" tests/faults

test-properties: $(VENV)/.dev
	HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -n 2 -m "hypothesis and not slow"

test-long: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow

# Schedulers killed at every step, on each engine that is here: some ten minutes.
test-exactly-once: $(VENV)/.dev
	$(BIN)/python -m pytest -n 0 -m slow -s tests/faults/test_exactly_once.py

test-browser: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "browser and not slow" tests/web

check: lint types directions one-chain

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

directions: $(VENV)/.dev
	$(BIN)/lint-imports

# Two migrations that follow the same one are two heads, and no ledger can be upgraded.
one-chain: $(VENV)/.dev
	@$(BIN)/python -c "from carbon.storage.migrations import head_revision; print('newest migration', head_revision())"

# The newest versions that pyproject.toml allows, without any address of an index.
constraints: | $(BIN)/python
	$(PIP) install --quiet --upgrade --editable '.[dev]'
	$(PIP) freeze --exclude-editable | grep -v ' @ ' > constraints.txt

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
