# What a person or a machine does here. `make` alone lists it.
# A fresh machine needs Linux, Python 3.11, make, and the network once.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

UV_VERSION := 0.13.8
UV := .uv/bin/uv
BIN := .venv/bin
# one more than cores: a worker often waits for a server or another process
WORKERS ?= $(shell n=$$(nproc); echo $$(( n < 7 ? n + 1 : 8 )))

.PHONY: help setup demo bench test conformance chaos check format licences clean
help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|' 2>/dev/null \
	  || sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1: \2/p' Makefile

setup: .venv/.synced ## the locked environment in .venv, made anew when the lock changes

demo: .venv/.synced ## start everything and sync all feeds; ARGS="--once --json out.json"
	@$(BIN)/waybill demo $(ARGS)

bench: .venv/.synced ## our pipeline beside psql COPY and other tools; ARGS="--rows 2000000 --json FILE"
	@$(BIN)/python -m bench $(ARGS)

test: .venv/.synced ## the whole suite; ARGS="-k prices"
	@# a file stays with one worker, so that what its tests share is made once
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

conformance: .venv/.synced ## the conformance battery, recorded in docs/conformance.md
	@$(BIN)/python -m pytest -p tests.conformance.recorder -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)
	@$(BIN)/python -m tests.conformance.page

chaos: .venv/.synced ## orders while everything breaks; ARGS="--orders 1000 --seed 7 --json out.json"
	@$(BIN)/python -m bench.chaos $(ARGS)

check: .venv/.synced licences ## style, types, imports, licences
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/basedpyright

format: .venv/.synced ## put every file into the common form
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

licences: .venv/.synced
	@$(BIN)/python scripts/licences.py

clean: ## forget the environment and the caches (not what was synced: that is in var/)
	rm -rf .venv .uv .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# uv itself, in an environment of its own: nothing is installed outside this folder
.uv/.$(UV_VERSION):
	@python=$$(command -v python3.11 || command -v python3 || true); \
	[ -n "$$python" ] && "$$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
	  || { echo "Python 3.11 is needed, as python3.11 or python3" >&2; exit 1; }; \
	rm -rf .uv; "$$python" -m venv .uv
	@.uv/bin/python -m pip install --quiet --disable-pip-version-check 'uv==$(UV_VERSION)'
	@touch $@

.venv/.synced: .uv/.$(UV_VERSION) pyproject.toml uv.lock
	@$(UV) sync --frozen --quiet --python .uv/bin/python
	@touch $@
