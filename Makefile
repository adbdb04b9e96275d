# One word for each thing that is done here; CI and pre-commit say the same words.
# Needs Python 3.11 or newer, pip and make, nothing else: every word sets up what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.fiat-setup
PLUGINS := plugins/fiat-torch plugins/fiat-sklearn plugins/fiat-litert plugins/fiat-mlflow plugins/fiat-ray-serve
CODE := fiat plugins tests specs bench docs

# What pip unpacks stays inside the checkout, so that a small or read-only /tmp does not matter.
INSTALL = TMPDIR="$(CURDIR)/$(VENV)/tmp" PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types arch fmt docs bench fuzz clean

help:  ## List these words.
	@sed -n 's/^\([a-z]*\):.*  ## /\1|/p' Makefile | awk -F'|' '{printf "make %-8s %s\n", $$1, $$2}'

setup: $(STAMP)  ## Make .venv with the exact versions of constraints.txt.

$(STAMP): pyproject.toml constraints.txt $(PLUGINS:%=%/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Fiat needs Python 3.11 or newer, $(PYTHON) is `$(PYTHON) --version 2>&1`: try make PYTHON=python3.12" >&2; \
		exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
		echo "$(PYTHON) can't make a virtual environment; on Debian: apt-get install python3-venv" >&2; \
		rm -rf $(VENV); exit 1; }
	@mkdir -p $(VENV)/tmp
	@echo "setting up $(VENV) (the first time takes some minutes)"
	@$(INSTALL) --upgrade 'pip>=25.1'
	@$(INSTALL) -c constraints.txt --group dev -e '.[runner]' $(PLUGINS:%=-e ./%)
	@rm -rf $(VENV)/tmp
	@touch $(STAMP)

demo: $(STAMP)  ## Train, judge and package the digits example.
	@$(BIN)/fiat run specs/digits
	@echo "next: $(BIN)/fiat show digits    $(BIN)/fiat report    make demo again reuses everything"

test: $(STAMP)  ## Run the whole suite, JOBS (2) files side by side; ARGS are pytest's, such as ARGS='-m "not slow"'.
	@$(BIN)/python -m pytest -n $(or $(JOBS),2) --dist loadfile $(ARGS)

lint: $(STAMP)  ## Check style and format.
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)

types: $(STAMP)  ## Check types.
	@$(BIN)/mypy

arch: $(STAMP)  ## Check that imports point down.
	@$(BIN)/lint-imports

fmt: $(STAMP)  ## Format, and mend what can be mended.
	@$(BIN)/ruff check --fix $(CODE)
	@$(BIN)/ruff format $(CODE)

docs: $(STAMP)  ## Fill the reference tables and help texts into the documents.
	@$(BIN)/python docs/fill.py

bench: $(STAMP)  ## Measure against peers and print ratios; ARGS=--quick for a short one.
	@$(BIN)/python bench/run.py $(ARGS)

fuzz: $(STAMP)  ## Fuzz the spec loader and the request decoder, each for SECONDS (600); needs a Python that atheris has wheels for.
	@$(INSTALL) -c constraints.txt --group fuzz
	@$(BIN)/python tests/fuzz/fuzz_spec.py -max_total_time=$(or $(SECONDS),600)
	@$(BIN)/python tests/fuzz/fuzz_requests.py -max_total_time=$(or $(SECONDS),600)

clean:  ## Remove the environment and every cache; keeps .fiat, where runs and models live.
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find fiat plugins tests specs bench docs -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf *.egg-info plugins/*/*.egg-info
