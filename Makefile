# Everything lives in .venv; nothing outside this checkout is touched. `make` lists the targets.
PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
READY := .venv/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
SOURCES := pbft crypto tests examples docs
ALONE := $(addprefix tests/cluster/test_,attacks.py disk_faults.py durable.py scenarios.py) tests/stress
ARGS :=

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-system check format docs mutants mutant-score scenarios \
	failpoints garbage fuzz soak campaign bench lock clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(READY)  ## make .venv with exactly the locked versions

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "pbft needs Python 3.11 or newer, and none is on the PATH:" \
		"install one, or name it: make PYTHON=/path/to/python3" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "pbft needs Python 3.11 or newer, and $(PYTHON) is older" >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make virtual environments: install its venv package" \
		"(python3-venv on Debian and Ubuntu)" >&2; exit 2; }
	@echo "setting up .venv with $$($(PYTHON) --version), once"
	@$(PYTHON) -m venv --clear .venv
	@$(PIP) --require-hashes -r requirements.lock || \
		{ echo "the locked packages could not be installed: is a package index reachable?" >&2; exit 2; }
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)  ## four replicas over UDP, one of them Byzantine (ARGS="--byzantine silent")
	$(BIN)/pbft demo $(ARGS)

test: $(READY)  ## all tests; those that time real processes one after another
	$(BIN)/python -m pytest -n 4 --dist worksteal -m "not cluster and not system"
	$(BIN)/python -m pytest -n 2 --dist loadfile -m cluster $(ALONE:%=--ignore=%)
	$(BIN)/python -m pytest -m cluster $(ALONE)

test-system: $(READY)  ## beside programs of the system (Debian: etcd-server, etcd-client, chromium)
	$(BIN)/python -m pytest -m system

check: $(READY)  ## format, lint, strict types, architecture
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_architecture.py

format: $(READY)  ## rewrite the sources in the house's format
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

docs: $(READY)  ## the documentation as a site, in build/docs
	$(BIN)/python -m docs.generator

mutants: $(READY)  ## show that each trap's test fails when its rule is removed
	$(BIN)/python -m tests.mutants.run

mutant-score: $(READY)  ## after how many seeds the random generator alone notices each mutant
	$(BIN)/python -m tests.mutants.chance $(ARGS)

scenarios: $(READY)  ## write docs/scenarios.md: what is shown, by which test, and without what it fails
	$(BIN)/python -m tests.scenarios.table

failpoints: $(READY)  ## stop replicas at every boundary between durable and sent (ARGS=6 times each)
	$(BIN)/python -m tests.simulation.failpoints $(or $(ARGS),6)

garbage: $(READY)  ## ten million datagrams of garbage, and a minute of it at a live port
	$(BIN)/python -m tests.stress.garbage $(ARGS)

fuzz: $(READY)  ## every decoder for ten minutes each, guided by coverage (ARGS="--seconds 60 wire")
	$(PIP) --require-hashes --no-deps -r tests/fuzz/requirements.txt
	$(BIN)/python -m tests.fuzz.run $(ARGS)

soak: $(READY)  ## long runs of kills and restarts under load, on real processes
	$(BIN)/python -m tests.stress.soak $(ARGS)

campaign: $(READY)  ## thousands of simulated runs, resumable (build/campaign.jsonl)
	@mkdir -p build
	$(BIN)/pbft campaign run --progress build/campaign.jsonl --keep build/failures $(ARGS)

bench: $(READY)  ## throughput and latency, with their conditions
	$(BIN)/pbft bench $(ARGS)

lock:  ## resolve requirements.lock anew (ARGS=--upgrade for the newest versions)
	@$(PYTHON) -m venv .venv/lock
	@.venv/lock/bin/python -m pip --disable-pip-version-check install --quiet uv==0.13.9
	.venv/lock/bin/uv pip compile --quiet --no-cache --python .venv/lock/bin/python \
		--universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url \
		--no-emit-find-links --custom-compile-command "make lock" $(ARGS) \
		--group dev --output-file requirements.lock pyproject.toml

clean:  ## remove what the targets made
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
