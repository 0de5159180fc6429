# Everything happens in .venv, made from pyproject.toml and ci/constraints.txt alone; `make` lists the targets.
# Two of them have an environment of their own: .venv-base and .venv-lowest.

PYTHON ?= python3
ARGS ?=
MINUTES ?= 1
KILLS ?= 20

BIN := .venv/bin
# What is installed so far. The second includes the first; either is made anew when its inputs change.
BASE := .venv/.installed-base
DEV := .venv/.installed-dev
FUZZ := .venv/.installed-fuzz
AUDIT := .venv/.installed-audit
RUNTIME := .venv/.fetched-runtime
PINS := ci/constraints.txt
PYTEST = -m pytest --numprocesses auto --maxprocesses 8 --dist worksteal
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(PINS)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-page test-base test-lowest fuzz faults audit lint docs docs-serve figures format clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(BASE)  ## simulate two recordings, analyse them, compare drawn and found sounds, all in demo/ (no PyTorch)
	$(BIN)/laennec simulate demo/recordings --layout demo
	$(BIN)/laennec analyze demo/recordings --out demo/results --format json,csv,audacity,html,png
	@$(BIN)/python -m laennec.experiments.demonstration demo/recordings demo/results
	@echo "Open demo/results/wheezes.html in a browser; what the simulator drew is in demo/recordings."

# A process a core, of one thread each wherever it runs: the networks of the tests are too small for more, and the
# number of threads decides the last bits of a trained weight.
test: $(DEV)  ## run the test suite; ARGS goes to pytest, e.g. make test ARGS="-k metrics"
	OMP_NUM_THREADS=1 $(BIN)/python $(PYTEST) -m 'not browser' $(ARGS)

# By themselves, since they take as long as half of the others, and Chromium, where that is installed.
test-page: $(DEV) $(RUNTIME)  ## run the tests that open the page in Chromium; ARGS goes to pytest
	OMP_NUM_THREADS=1 $(BIN)/python $(PYTEST) -m browser $(ARGS)

test-base: .venv-base/.installed  ## run the tests that need no training layer, in an environment without PyTorch and pandas
	OMP_NUM_THREADS=1 .venv-base/bin/python $(PYTEST) $(ARGS)

test-lowest: .venv-lowest/.installed  ## run the same tests with the lowest versions that pyproject.toml allows
	OMP_NUM_THREADS=1 .venv-lowest/bin/python $(PYTEST) $(ARGS)

# Each run is the same but for its length; without Atheris, seeds are mutated at random.
fuzz: $(FUZZ)  ## give every reader wrong inputs for MINUTES, 1 by default; ARGS goes to tests/fuzz/run.py
	$(BIN)/python tests/fuzz/run.py --minutes $(MINUTES) $(ARGS)

faults: $(DEV)  ## kill every command at KILLS random points, 20 by default, and compare what resuming gives
	$(BIN)/python tests/faults/kills.py $(KILLS) $(ARGS)

audit: $(AUDIT)  ## check vulnerabilities, licences and hashes of what is installed; bills of materials in dist/
	$(BIN)/python ci/audit.py $(ARGS)

lint: $(DEV) docs  ## run ruff and mypy, and build the documentation; a warning is an error
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: $(DEV)  ## build the documentation in site/; a warning is an error
	@# Not --quiet: with it, mkdocs does not count the warnings that --strict stops at.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-serve: $(DEV)  ## serve the documentation on this computer, rebuilt after each change
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

figures: $(BASE)  ## write every table of README and docs from docs/results
	$(BIN)/python -m laennec.experiments.figures

format: $(DEV)  ## format the code and fix what ruff can fix
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:  ## remove the environments and everything that was built
	rm -rf .venv .venv-base .venv-lowest demo site dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Laennec needs Python 3.11 or newer, and $(PYTHON) is not ($$($(PYTHON) --version 2>&1))." \
	       "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv

# The demonstration draws pictures, for which the extra "web" brings matplotlib.
$(BASE): pyproject.toml $(PINS) | $(BIN)/python
	@echo "Installing Laennec into .venv (without PyTorch)"
	$(PIP_INSTALL) --editable '.[web]'
	@touch $@

$(DEV): pyproject.toml $(PINS) | $(BIN)/python
	@echo "Installing Laennec into .venv with PyTorch and the development tools (some minutes the first time)"
	$(PIP_INSTALL) --editable '.[dev]'
	@# Of what it depends on, pyproject.toml has what its reading of tasks needs; OpenCV is for images.
	$(PIP_INSTALL) --no-deps label-studio-sdk
	@touch $(BASE) $@

# ONNX Runtime for browsers, which an exported page is tested with: npm's package, whose hashes the export checks.
$(RUNTIME): src/laennec/targets/runtime.py $(DEV)
	@cd .venv && $$(bin/python -c 'from laennec.targets.runtime import FETCH; print(FETCH)') --silent > /dev/null \
	  || echo "onnxruntime-web cannot be fetched here: the tests of exported pages are skipped"
	@touch $@

$(FUZZ): $(DEV)
	@$(PIP_INSTALL) --editable '.[fuzz]' || echo "Atheris cannot be installed here"
	@touch $@

$(AUDIT): $(DEV)
	$(PIP_INSTALL) --editable '.[audit]'
	@touch $@

.venv-base/.installed: pyproject.toml $(PINS)
	$(PYTHON) -m venv --clear .venv-base
	@echo "Installing Laennec into .venv-base with the tools of the base tests"
	.venv-base/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(PINS) --editable '.[test]'
	@touch $@

# Only the dependencies of the base install are the lowest; the tools of the tests are what fits them.
.venv-lowest/.installed: pyproject.toml ci/lowest.py
	$(PYTHON) -m venv --clear .venv-lowest
	@echo "Installing the lowest versions that pyproject.toml allows into .venv-lowest"
	.venv-lowest/bin/python ci/lowest.py > .venv-lowest/lowest.txt
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check \
	  --constraint .venv-lowest/lowest.txt --editable '.[test]'
	@touch $@
