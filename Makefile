# Every target sets itself up: a virtual environment in .venv with the versions of constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= passive
# Workers and the processes that tests start would each compile all sources anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test test-slow lint bench clean

help:
	@echo "make demo       set up, then train, probe and compare: the main job (under 5 minutes after set-up)"
	@echo "make test       set up, then check style, types and the default tests"
	@echo "make test-slow  the long tests as well"
	@echo "make bench      speed against peers, as ratios"
	@echo "make clean      remove .venv and caches"

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "valuelab needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .venv || \
	  { echo "$(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Installing into .venv: 0.5 to 4 GB the first time, mostly torch (README: Download size); this takes minutes."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt setuptools
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[dev]'
	@touch $(STAMP)

setup: $(STAMP)

demo: $(STAMP)
	$(BIN)/valuelab demo

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy

test: $(STAMP) lint
	$(BIN)/pytest -n 2 --dist worksteal

test-slow: $(STAMP)
	$(BIN)/pytest -n 2 --dist worksteal -m 'slow or not slow'

bench: $(STAMP)
	$(BIN)/python benchmarks/env_speed.py
	$(BIN)/python benchmarks/solver_speed.py
	$(BIN)/python benchmarks/niceness_speed.py
	$(BIN)/python benchmarks/learning_speed.py
	$(BIN)/python benchmarks/value_speed.py
	$(BIN)/python benchmarks/study_speed.py
	$(BIN)/python benchmarks/search_speed.py
	$(BIN)/python benchmarks/erasure_speed.py

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache build dist *.egg-info
	find envs shards agents analysis tests -name __pycache__ -type d -exec rm -rf {} +
