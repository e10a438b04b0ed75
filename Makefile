# Every step a fresh machine needs; Python 3.11+ and make are all that must be there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHONUTF8 = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.DEFAULT_GOAL := help
.PHONY: help install run demo test check lint prove ui clean

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

# torch with what it pulls in, which differs from build to build (CUDA's libraries, or none); all else exactly as in the lock, and no more:
# the bundled model would pull in a second framework.
# Compiled at once and on all cores, which pip does not: where the environment forbids bytecode, nobody would do it later.
$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $(PYTHON) is older. Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --constraint requirements.lock torch
	$(BIN)/python -m pip install --quiet --no-deps --no-compile --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/python -c 'import torch'
	$(BIN)/python -m compileall -q -j 0 -x torch/testing $(VENV)/lib
	@touch $@

install: $(VENV)/.installed ## an environment of its own in .venv, from the lock

run: install ## keep the example model: data to champion
	$(BIN)/tunekeeper retrain configs/helpdesk.yaml

# Tests wait for servers and processes now and then: three of them for every two cores keep these busy, types are checked beside them.
WORKERS = $(shell $(BIN)/python -c 'import os; print(min(6, (3 * (os.cpu_count() or 1) + 1) // 2))')
test: lint ## lint, types and tests
	$(BIN)/mypy & types=$$!; $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder; tests=$$?; wait $$types && exit $$tests

check: lint ## lint and types
	$(BIN)/mypy

lint: install ## lint alone
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

prove: install ## the long proofs; writes benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks.prove

demo: install ## the loop closes: drift, retraining, promotion, rollback, under load, in minutes
	$(BIN)/python -m examples.helpdesk.demo

ui: install ## MLflow and Prefect on this machine, until Ctrl-C
	$(BIN)/tunekeeper up

clean: ## drop the environment and caches; the state in .tunekeeper stays
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
