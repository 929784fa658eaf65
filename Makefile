# `make demo` and `make test` do all the set-up themselves: Python 3.11 and make suffice.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
BENCH_OUT ?= runs/benchmark
PYTEST := $(BIN)/python -m pytest -n auto

.PHONY: help demo bench test test-fast test-nets test-newest lint clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

demo: $(VENV)/.demo  ## SGD, SAM and ASAM on digits with label noise: a table and figures
	$(BIN)/python -m experiments.digits

bench: $(VENV)/.bench  ## time and memory of a step beside Optax's and PyTorch's: a table and figures
	-$(MAKE) $(VENV)/.bench-torch  # without it the table says "not installed"
	$(BIN)/python -m experiments.benchmarks --out $(BENCH_OUT)
	$(BIN)/python -m experiments.benchmarks.loop --out $(BENCH_OUT)

test: $(VENV)/.test  ## all tests and doctests but test-nets
	$(PYTEST) -m 'not deep'
	$(MAKE) test-newest

test-fast: $(VENV)/.test  ## the tests that take seconds
	$(PYTEST) -m 'not slow and not deep'

test-nets: $(VENV)/.test  ## compile the deep nets (minutes)
	$(PYTEST) -m deep

test-newest: $(VENV)/.test  ## the library's quicker tests on Python 3.12+ with the newest JAX, if there is such a Python
	bash tests/newest.sh

lint: $(VENV)/.test $(VENV)/.lint  ## ruff and pyright
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

clean:  ## remove the environments and caches
	rm -rf $(VENV) .venv-newest .pytest_cache .ruff_cache .hypothesis build *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "asam_jax needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.%: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	touch $@
