# What a developer runs; `make help` lists it.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
SECONDS := 120
QUIET := --disable-pip-version-check --quiet
ATTACKS := faults,hostile,costly,large,stopped,proxy
SHARDS := 1

.DEFAULT_GOAL := help
.PHONY: help setup install demo test test-embedded test-deep test-cluster faults bench bench-quick bench-cluster lint format lock release \
	clean

help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

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

TO := /opt/pulsehouse
EMBEDDED :=

install: ## Install what production needs into TO=/opt/pulsehouse; EMBEDDED=1 adds the embedded engine
	@mkdir -p "$(TO)" 2>/dev/null && test -w "$(TO)" || \
		{ echo "cannot write to $(TO); try: sudo make install, or make install TO=DIRECTORY"; exit 1; }
	@echo "installing into $(TO)"
	@$(PYTHON) -m venv "$(TO)"
	@"$(TO)/bin/pip" install $(QUIET) --no-deps --require-hashes -r requirements.lock \
		$(if $(EMBEDDED),-r requirements-embedded.lock)
	@"$(TO)/bin/pip" install $(QUIET) --no-deps --no-build-isolation .
	@echo "done; try: $(TO)/bin/pulsehouse --help"

demo: setup ## Run the whole service on simulated visitors
	@$(VENV)/bin/pulsehouse demo

test: setup ## Run the tests, on a ClickHouse server where there is one, else on the embedded engine; 3 minutes
	@$(VENV)/bin/pytest -n auto

test-embedded: setup ## Run on the embedded engine what `make test` ran on a server; 2 minutes
	@$(VENV)/bin/pytest -n auto -m "beside_server and not deep" || { [ $$? = 5 ] && echo "no server: make test runs all"; }

test-deep: setup ## Run the long forms of the tests, and those that take long in any form; 6 minutes
	@$(VENV)/bin/pytest -n auto -m deep --hypothesis-profile deep

test-cluster: setup ## Run what runs on a cluster, on the one that PULSEHOUSE_TEST_CLUSTER_URLS names; 2 minutes
	@$(VENV)/bin/pytest -n 0 -k "cluster and not embedded" tests

bench: setup $(VENV)/bench/.ready ## Measure against the targets on the server at CLICKHOUSE_URL; needs wrk, half an hour
	@$(VENV)/bin/python -m bench --output bench/results.json
	@[ -z "$$CLICKHOUSE_NODES" ] || $(VENV)/bin/python -m bench.cluster --output bench/cluster.json
	@$(VENV)/bin/python bench/results_page.py
	@$(VENV)/bench/bin/python bench/plots.py bench/results.json docs/performance

bench-quick: setup ## The same on less data, in 5 minutes, without profile and plots
	@$(VENV)/bin/python -m bench --quick --output bench/results-quick.json

bench-cluster: setup ## Measure what shards cost, on the cluster that CLICKHOUSE_NODES names; once on each of 1, 2 and 3 nodes
	@$(VENV)/bin/python -m bench.cluster --output bench/cluster.json
	@$(VENV)/bin/python bench/results_page.py

$(VENV)/bench/.ready:
	@$(PYTHON) -m venv $(VENV)/bench
	@$(VENV)/bench/bin/pip install --disable-pip-version-check --quiet 'matplotlib>=3.11,<4'
	@touch $@

faults: setup ## Break and attack everything for a while and account for every signal: CLICKHOUSE='command with {port} and {path}'; SHARDS=3
	@$(VENV)/bin/python -m faults --shards $(SHARDS) --seconds $(SECONDS) --attacks $(ATTACKS) --clickhouse '$(CLICKHOUSE)'

lint: setup ## Check style and types
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

format: setup ## Put the code into shape
	@$(VENV)/bin/ruff check --fix .
	@$(VENV)/bin/ruff format .

COMPILE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --upgrade --quiet

lock: ## Choose the newest allowed versions of all packages (needs uv)
	@$(COMPILE) pyproject.toml --group build --output-file requirements.lock
	@$(COMPILE) pyproject.toml --extra embedded --group build --group dev --constraint requirements.lock \
		--output-file requirements-dev.lock
	@sed -n '/^chdb-core==/,/[^\\]$$/p' requirements-dev.lock > requirements-embedded.lock

release: setup ## Check everything and build dist/: the wheel and the source, of the version in pyproject.toml
	@test -z "$$(git status --porcelain)" || { echo "commit or remove what git status shows, then: make release"; exit 1; }
	@grep -q "^## $$($(VENV)/bin/python -c 'import importlib.metadata as m; print(m.version("pulsehouse"))')" CHANGELOG.md || \
		{ echo "CHANGELOG.md has no section for the version in pyproject.toml"; exit 1; }
	@.ci/run
	@$(MAKE) test-deep
	@rm -rf dist && $(VENV)/bin/python -m hatchling build
	@ls -l dist

clean: ## Remove .venv and caches
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
