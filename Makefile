# Everything a person or a machine does here. Needs Python >= 3.11 and make; nothing else for `demo`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help install demo test check bench clean

help:  ## say what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.installed  ## make .venv with fovea and every room that runs on this machine

demo: $(VENV)/.installed  ## photographs to a scene you can walk in, on the CPU, in minutes
	@$(BIN)/fovea demo

test: $(VENV)/.dev  ## all tests
	@scripts/test

check: $(VENV)/.dev  ## format, lint, types, floors, docs
	@scripts/check

bench: $(VENV)/.dev  ## all benchmarks that need nothing else, a line each; wants a quiet machine
	@$(BIN)/python benchmarks/run.py

clean:  ## forget the environment and all caches, never a run
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else \
	  f"fovea needs Python 3.11 to 3.13, and {sys.executable} is {v.major}.{v.minor}. Try: make $(MAKECMDGOALS) PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all]'
	@touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
