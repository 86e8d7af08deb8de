# Every target sets up what it needs: .venv from the hash-locked requirements, the Temporal
# server once into a cache. A second run sets nothing up again.

# The first Python that is new enough; override with `make PYTHON=/path/to/python3 ...`.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
# Named by the content of what it was made from, so that a checkout of the same makes nothing.
LOCK := $(shell cat requirements/dev.txt pyproject.toml requirements/base.in | cksum | tr -d ' ')
READY := $(VENV)/.ready-$(LOCK)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
COMPILE := $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help set-up server demo test lint check fix bench up down replay sizes lock kill-merge kill-ideas \
	kill-rollouts judge-bench

help: ## Say what there is
	@echo "slipway: from an idea to production, and back when it hurts. Start with: make demo"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

set-up: $(READY)

$(READY):
	@test -n "$(PYTHON)" || { \
		echo "slipway needs Python 3.11 or newer, and found none; say make PYTHON=/path/to/python3" >&2; \
		exit 1; }
	@command -v git >/dev/null || { echo "slipway needs git 2.39 or newer on PATH" >&2; exit 1; }
	@echo "Setting up $(VENV) with $(PYTHON) (once; about a minute) ..." >&2
	@$(PYTHON) -m venv $(VENV) || { \
		echo "$(PYTHON) cannot make a virtual environment; on Debian: apt install python3-venv" >&2; \
		exit 1; }
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@PYTHONWARNINGS=ignore $(PIP) install --no-build-isolation --no-deps --editable .
	@rm -f $(VENV)/.ready-*
	@touch $@

server: $(READY)
	@$(BIN)/python -P -m starter.server >/dev/null

demo: server ## Bring three ideas to production on a sample service, under load
	@$(BIN)/slipway demo

# Most tests wait for servers more than they compute: three at once, each file in one process.
test: server ## All tests, with a real Temporal server, and the branch coverage of domain
	$(PYTEST) -q -n 3 --dist loadfile --cov --cov-report=term-missing:skip-covered --cov-fail-under=100

lint: $(READY) ## Format, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint ## The same, and the tests that need no server
	$(PYTEST) -q -m "not server"

fix: $(READY) ## Format, and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: server ## Measure against bare SDK rivals; writes bench/results.json
	$(BIN)/python -m bench

up: server ## Start the Temporal server and the workers in the background
	@$(BIN)/slipway up --detach

down: $(READY) ## Stop them
	@$(BIN)/slipway down

replay: $(READY) ## Replay the recorded histories under two hash seeds
	PYTHONHASHSEED=1 $(PYTEST) -q tests/workflows/test_replay.py
	PYTHONHASHSEED=2 $(PYTEST) -q tests/workflows/test_replay.py

sizes: $(READY) ## The ten largest files and functions
	@$(BIN)/python scripts/sizes.py

kill-ideas: server ## Kill workers and server at random moments of 100 ideas
	$(BIN)/python scripts/kill_ideas.py

kill-rollouts: server ## Kill workers, server, supervisor, edge and services during 100 rollouts
	$(BIN)/python -m scripts.kill_rollouts

judge-bench: $(READY) ## Simulate the judge beside the rules of others; writes docs/judge.md
	$(BIN)/python -m bench.judge

kill-merge: server ## Kill at each system call of the merge (needs strace)
	@command -v strace >/dev/null || { echo "kill-merge needs strace on PATH" >&2; exit 1; }
	$(BIN)/python scripts/kill_merge.py

lock: $(READY) ## Resolve requirements/*.in anew, with hashes
	cd requirements && ../$(COMPILE) --output-file base.txt base.in
	cd requirements && ../$(COMPILE) --output-file dev.txt dev.in
	cd requirements && ../$(COMPILE) --output-file build.txt build.in
