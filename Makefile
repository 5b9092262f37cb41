# Everything lives in .venv; nothing outside this checkout is touched. `make` lists the targets.
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
READY := .venv/.ready
SOURCES := pbft crypto tests examples

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format mutants bench lock clean

help:  ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(READY)  ## make .venv with exactly the locked versions

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "pbft needs Python 3.11 or newer: none was found on PATH" >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make virtual environments: install its venv package" >&2; exit 2; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY)  ## four replicas over UDP, one of them Byzantine
	$(BIN)/pbft demo

test: $(READY)  ## all tests
	$(BIN)/python -m pytest -n 2 -m "not cluster"
	$(BIN)/python -m pytest -m cluster

check: $(READY)  ## format, lint, strict types, architecture
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_architecture.py

format: $(READY)  ## rewrite the sources in the house's format
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

mutants: $(READY)  ## show that each trap's test fails when its rule is removed
	$(BIN)/python -m tests.mutants.run

bench: $(READY)  ## throughput and latency, with their conditions
	$(BIN)/pbft bench

lock: $(READY)  ## resolve the newest versions anew (needs pip-tools beside .venv)
	$(PYTHON) -m piptools compile -q --generate-hashes --strip-extras --allow-unsafe \
		--no-emit-index-url --no-emit-find-links --no-header --no-annotate \
		-o requirements.lock pyproject.toml requirements.in

clean:  ## remove what the targets made
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
