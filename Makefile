# Two commands are enough on a fresh machine with python3, make and git: make quickstart, make test.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup quickstart test test-faults test-tasks test-slow test-tensorflow check bench clean

setup: .venv/installed-dev

# The package alone, which is all that quickstart needs.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

quickstart: .venv/installed
	$(BIN)/litebert quickstart

# A process for each core, up to four: tests compute on one thread each.
test: .venv/installed-dev
	$(BIN)/python -m pytest -m "not slow" --numprocesses logical --maxprocesses 4 --dist worksteal

# Kills, full disks, damaged files, NaN, lost ranks: all of it, the slow ones too.
test-faults: .venv/installed-dev
	$(BIN)/python -m pytest tests/faults tests/train/test_distributed.py

# Every task of the paper from its official files, and the user's own kinds.
test-tasks: .venv/installed-dev
	$(BIN)/python -m pytest tests/tasks

# Minutes each: a run killed twenty times.
test-slow: .venv/installed-dev
	$(BIN)/python -m pytest -m slow

# Google's checkpoints through TensorFlow itself, a download of hundreds of megabytes.
test-tensorflow: .venv/installed-dev
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[tensorflow]'
	$(BIN)/python -m pytest tests/interop

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

# One JSON line per measurement, on an otherwise idle machine. benchmarks/batches.py, prepare.py and
# heldout_loss.py measure what one gives them.
bench: .venv/installed-dev
	$(BIN)/python benchmarks/train_step.py --peer transformers

clean:
	rm -rf .venv
