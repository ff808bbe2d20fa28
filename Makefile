# Two commands do all set-up on a fresh machine: `make demo` and `make test`. Prerequisites: Python 3.11+ and make.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
AUDIT := .venv-audit
ABI := provenance/chain/abi/.built
SOLIDITY := $(shell find contracts -name '*.sol' 2>/dev/null)
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export HARDHAT_DISABLE_TELEMETRY_PROMPT := true
export OMP_NUM_THREADS ?= 1

.PHONY: help setup demo up test test-python test-units test-system test-contracts test-ipfs check gas-snapshot coverage audit format clean distclean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: $(VENV)/.installed node_modules/.installed $(ABI) ## build .venv and node_modules, compile the contracts (cached)

demo: setup ## run the main job: three contributors, one order, one certificate
	$(PY) scripts/demo.py

up: setup ## start chain, backend, coordinator and nodes, and keep them running
	$(VENV)/bin/tessera up

test: test-contracts test-python ## all tests: contracts, units, whole orders over real processes

test-contracts: setup ## Solidity tests
	npx --no-install hardhat test

test-python: setup ## Python tests: units, and beside them whole orders, which mostly wait for other processes
	$(MAKE) --no-print-directory -j2 test-units test-system

test-units: setup
	$(PY) -m pytest -n auto --maxprocesses 4 --dist worksteal -m "not ipfs and not system" tests

test-system: setup
	$(PY) -m pytest -m system tests/system

test-ipfs: setup tests/ipfs/node_modules/.installed ## the content store against a real IPFS daemon
	$(PY) -m pytest -m ipfs tests/ipfs

check: setup ## linters, types, import rules, prose, getters, formatting, gas within 2 % of what was written down
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PY) -m scripts.checks.prose
	$(PY) -m pytest -n auto --maxprocesses 4 tests/test_import_rules.py tests/contracts/test_getters.py
	npm run --silent lint
	$(PY) -m scripts.checks.gas

gas-snapshot: setup ## write down what each step costs and what each contract weighs, as `make check` compares it
	$(PY) -m scripts.checks.gas --renew

coverage: setup ## line and statement coverage of the contracts, each at least 98 %
	$(PY) -m scripts.checks.coverage

audit: setup $(AUDIT)/.installed ## Slither over the contracts (findings are argued in contracts/audit/slither.json), proofs of the money's arithmetic
	$(PY) -m scripts.checks.audit

format: setup ## rewrite Python files in the house format
	$(VENV)/bin/ruff check --fix-only --quiet .
	$(VENV)/bin/ruff format .

clean: ## remove build products and run folders, keep .venv, .venv-audit and node_modules
	rm -rf artifacts cache coverage snapshots .gas-snapshot build dist run .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf provenance/chain/abi
	find . -name __pycache__ -not -path './.venv/*' -not -path './.venv-audit/*' -not -path './node_modules/*' -prune -exec rm -rf {} +

distclean: clean ## also remove .venv, .venv-audit and node_modules
	rm -rf $(VENV) $(AUDIT) node_modules tests/ipfs/node_modules *.egg-info

$(VENV)/.installed: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "make: found no '$(PYTHON)'; Tessera needs Python 3.11 or newer (set PYTHON=/path/to/python3)"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: found $$($(PYTHON) --version); Tessera needs Python 3.11 or newer (set PYTHON=/path/to/python3)"; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "make: this Python has no venv module; install it (Debian: apt-get install python3-venv)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade --constraint constraints.txt pip
	$(PY) -m pip install --quiet --constraint constraints.txt --editable '.[all]' --group dev
	@touch $@

node_modules/.installed: package.json package-lock.json $(VENV)/.installed
	npm ci --no-audit --no-fund --loglevel=error
	$(PY) scripts/platform_anvil.py
	@touch $@

$(AUDIT)/.installed: contracts/audit/requirements.txt
	$(PYTHON) -m venv --clear $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet --no-deps --requirement contracts/audit/requirements.txt
	@touch $@

tests/ipfs/node_modules/.installed: tests/ipfs/package-lock.json $(VENV)/.installed
	cd tests/ipfs && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(ABI): $(SOLIDITY) hardhat.config.js node_modules/.installed
	npm run --silent abi
	@touch $@
