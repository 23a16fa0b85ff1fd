# What a developer runs; `make help` lists it.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
SECONDS := 120

.DEFAULT_GOAL := help
.PHONY: help setup demo test faults bench bench-quick lint format lock clean

help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(READY) ## Make .venv with everything in it, from the lock file; does nothing the second time

$(READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Pulsehouse needs Python 3.11 or newer; try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@echo "making $(VENV): downloads about 300 MB, most of it the database engine, and installs it; minutes, once"
	@$(PYTHON) -m venv $(VENV)
	@{ $(VENV)/bin/pip install --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock || \
		echo FAILED; } 2>&1 | tee $(VENV)/setup.log | { \
		seen=0; all=$$(grep -c == requirements-dev.lock); \
		while read -r word rest; do case "$$word $$rest" in \
			Ignoring*) all=$$((all - 1));; \
			Collecting*|Processing*) seen=$$((seen + 1)); \
				[ $$((seen % 20)) != 0 ] || echo "  $$seen of $$all packages";; \
			Downloading*"("[0-9][0-9]*" MB)") echo "  downloading $$rest";; \
			Installing*) echo "  installing $$seen packages";; \
			ERROR*) echo "$$word $$rest";; \
			FAILED*) echo "pip could not install; all that it said is in $(VENV)/setup.log"; exit 1;; \
		esac; done; }
	@$(VENV)/bin/pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## Run the whole service on simulated visitors
	@$(VENV)/bin/pulsehouse demo

test: setup ## Run the tests, on the embedded engine and on a server where there is one
	@$(VENV)/bin/pytest

bench: setup $(VENV)/bench/.ready ## Measure against the targets on the server at CLICKHOUSE_URL; needs wrk, 15 minutes
	@$(VENV)/bin/python -m bench --output bench/results.json
	@$(VENV)/bench/bin/python bench/plots.py bench/results.json docs/performance

bench-quick: setup ## The same on less data, in under 3 minutes, without profile and plots
	@$(VENV)/bin/python -m bench --quick --output bench/results-quick.json

$(VENV)/bench/.ready:
	@$(PYTHON) -m venv $(VENV)/bench
	@$(VENV)/bench/bin/pip install --disable-pip-version-check --quiet 'matplotlib>=3.11,<4'
	@touch $@

faults: setup ## Break everything for a while and account for every signal: CLICKHOUSE='command with {port} and {path}'
	@$(VENV)/bin/python -m faults --seconds $(SECONDS) --clickhouse '$(CLICKHOUSE)'

lint: setup ## Check style and types
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

format: setup ## Put the code into shape
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

lock: ## Choose the newest allowed versions of all packages (needs uv)
	@uv pip compile pyproject.toml --group build --universal --python-version 3.11 --generate-hashes --no-header \
		--no-annotate --no-emit-index-url --upgrade --quiet --output-file requirements.lock
	@uv pip compile pyproject.toml --group build --group dev --constraint requirements.lock --universal \
		--python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --upgrade --quiet \
		--output-file requirements-dev.lock

clean: ## Remove .venv and caches
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
