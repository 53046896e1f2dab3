# Everything that a person or a CI job runs here; `make help` lists it. Needs make, git and Python 3.11 or newer.

# The interpreter that .venv is made with: PYTHON=python3.12 make install. Only looked for while .venv does not exist.
PYTHON ?= $(or $(shell for found in python3 python3.13 python3.12 python3.11; do \
  $$found -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$found && break; \
  done),$(error No Python 3.11 or newer with venv found: on Debian, apt-get install python3-venv; else set PYTHON))
BIN := .venv/bin
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --no-deps
# More for pytest, as in: make test ARGS='tests/unit -k money'.
ARGS ?=
# Whatever the environment says, what Python compiled is kept: pytest's own workers and a hundred processes read it.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m 'not long'

.DEFAULT_GOAL := help
.PHONY: help install run test test-postgres coverage test-long bench bench-guard load scale node lint audit sbom openapi format \
  lock clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(BIN)/.installed ## Install everything into .venv, from the hash-checked lock; quick when nothing changed.

# Without dependencies in both steps: the lock is complete, and holds on purpose less than what one wheel declares
# (requirements/overrides.in). Without isolation in the second, since the lock has what builds the package.
$(BIN)/.installed: requirements/dev.txt pyproject.toml
	@test -x $(BIN)/python || { echo 'Making .venv'; $(PYTHON) -m venv .venv; }
	@echo 'Installing what requirements/dev.txt pins into .venv'
	@$(PIP) --require-hashes -r requirements/dev.txt
	@$(PIP) --no-build-isolation --editable .
	@touch $@

run: install ## Start everything on this machine with sample postings: database, embedder, service.
	@exec $(BIN)/jobsense dev

test: install ## Run the tests (the goal: four minutes on two cores).
	@$(missing)
	@$(PYTEST) $(ARGS)

# 16 or 18, which are embedded, or an image for a container engine: POSTGRES=pgvector/pgvector:pg17.
POSTGRES ?= 16
test-postgres: install ## Run the tests that ask the database on another PostgreSQL, the oldest by default; POSTGRES says which.
	@JOBSENSE_TEST_POSTGRES=$(POSTGRES) $(PYTEST) \
	  tests/sql tests/worker tests/api tests/search tests/pay tests/operations $(ARGS)

coverage: install ## The same under the tracing of coverage, slower, and 95 % of the branches of service/.
	@$(missing)
	@$(PYTEST) --cov --cov-report=term-missing:skip-covered --cov-fail-under=95

test-long: install ## Run the tests that take minutes: faults, recall, a million rows (an hour or less).
	@$(missing)
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -m long $(ARGS)

# SIZE: postings (20k, 200k, 1m; the database is kept in .make/bench); QUICK=1: two minutes, for a first impression.
export SIZE QUICK
bench: install .make/bench/.installed ## Compare with a usual service and with bare PostgreSQL (15 minutes); SIZE=200k, QUICK=1.
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m tests.bench $(ARGS)

bench-guard: install ## Fail when requests have become dearer: instructions counted, no times.
	@$(BIN)/python -m tests.bench.guard $(ARGS)

.make/bench/.installed: requirements/bench.txt
	@echo 'Installing the reference service, what requirements/bench.txt pins, into .make/bench/venv'
	@$(PYTHON) -m venv --clear .make/bench/venv
	@.make/bench/venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
	  -r requirements/bench.txt
	@touch $@

# Says beforehand what -ra says at the end, test by test.
define missing
$(BIN)/python -m tests.missing
endef

# More for the run, as in: make load ARGS='--users 200 --seconds 120', or --web, or --url http://127.0.0.1:8000.
load: install .make/load/.installed ## Let locust's users at a service of its own, or at a given one; some limits fail it.
	@$(BIN)/python -m tests.load $(ARGS)

# A venv of its own, since locust patches sockets and brings a web framework. The lock is complete.
.make/load/.installed: requirements/load.txt
	@echo 'Installing locust, what requirements/load.txt pins, into .make/load/venv'
	@$(PYTHON) -m venv --clear .make/load/venv
	@.make/load/venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

# As in: make scale ARGS='--sizes 200000', or 1000000 over night. What is made stays in .make/scale.
scale: install ## Measure recall, time, sizes and builds against the number of postings: 20,000 and 60,000.
	@$(BIN)/python -m tests.scale $(ARGS)

node: ## Install the npm packages that the tests of the TypeScript client need, from their lock; .ci/run does.
	@npm ci --prefix tests/clients/typescript --ignore-scripts --no-audit --no-fund --loglevel=error

lint: install ## Check style, types, imports, SQL and the CI workflow; changes nothing.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/sqlfluff lint --processes 0 sql/migrations sql/queries
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/zizmor --quiet --offline --no-progress .github/workflows

audit: install ## Look the locked dependencies up in an advisory database; says so where none can be reached.
	@.ci/audit

# Of an environment that holds what is delivered and nothing else, so that licences and dependencies are as installed.
sbom: install ## List what is delivered, part by part with licences, as CycloneDX: dist/jobsense.cdx.json.
	@$(PYTHON) -m venv --clear --without-pip .make/run
	@$(BIN)/python -m pip --python .make/run/bin/python --quiet --disable-pip-version-check install --no-deps \
	  --require-hashes -r requirements/run.txt
	@mkdir -p dist
	@$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --mc-type application --output-reproducible \
	  --output-file dist/jobsense.cdx.json .make/run/bin/python

openapi: install ## Write the OpenAPI document again; a test compares it with the code.
	@$(BIN)/jobsense openapi --out service/openapi/jobsense.json

format: install ## Put Python and SQL in form.
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/sqlfluff fix --processes 0 sql/migrations sql/queries

# One lock for every Python and platform. Names no index, so that it installs from any.
COMPILE = UV_CUSTOM_COMPILE_COMMAND='make lock' .make/lock/bin/uv pip compile --quiet --universal --python-version 3.11 \
  --fork-strategy fewest --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --upgrade

lock: .make/lock/bin/uv ## Make the locks in requirements/ again, with the newest versions that fit.
	@$(COMPILE) pyproject.toml -c requirements/constraints.in -o requirements/run.txt
	@$(COMPILE) pyproject.toml --extra embedded --extra local requirements/dev.in -c requirements/run.txt \
	  --override requirements/overrides.in -o requirements/dev.txt
	@$(COMPILE) requirements/bench.in -c requirements/run.txt -o requirements/bench.txt
	@$(COMPILE) requirements/load.in -o requirements/load.txt
	@$(COMPILE) requirements/lock.in -o requirements/lock.txt

.make/lock/bin/uv: requirements/lock.txt
	@$(PYTHON) -m venv --clear .make/lock
	@.make/lock/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/lock.txt
	@touch $@

clean: ## Remove .venv and whatever the tools left behind.
	@rm -rf .venv .make .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis htmlcov dist build
	@rm -rf tests/clients/typescript/node_modules
	@rm -f .coverage .coverage.*
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
