# Two commands are enough on a fresh machine with python3, make and git: make quickstart, make test.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup quickstart test test-slow check bench clean

setup: .venv/installed-dev

# The package alone, which is all that quickstart needs.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

quickstart: .venv/installed
	$(BIN)/litebert quickstart

test: .venv/installed-dev
	$(BIN)/python -m pytest -m "not slow"

# Minutes each: ten kills of a run, TensorFlow's own writer, long statistics.
test-slow: .venv/installed-dev
	$(BIN)/python -m pytest -m slow

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

# One JSON line per measurement. The machine should be otherwise idle.
bench: .venv/installed-dev
	$(BIN)/python benchmarks/train_step.py --peer transformers
	$(BIN)/python benchmarks/batches.py
	$(BIN)/python benchmarks/prepare.py

clean:
	rm -rf .venv
