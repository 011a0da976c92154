# Two commands: `make run` (the whole stack with a simulated country) and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Test files run side by side; most of them wait, so four at a time. Each process has a broker and an engine.
BESIDE := --numprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: run test test-fast test-faults check lock clean

run: $(VENV)/.installed-run
	$(BIN)/saqshy up

test: $(VENV)/.installed-dev check
	$(BIN)/pytest -m "not faults" $(BESIDE)

test-fast: $(VENV)/.installed-dev check
	$(BIN)/pytest -m "not faults and not broker and not browser" -q $(BESIDE)

test-faults: $(VENV)/.installed-dev
	$(BIN)/pytest -m "faults" --timeout=3600

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m deploy.locked

# Lock files carry hashes and no index addresses. The development lock leads, the other follows it.
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-annotate --no-header --python-version 3.11 pyproject.toml
lock: $(VENV)/.installed-dev
	$(LOCK) --all-extras -o requirements-dev.lock
	$(LOCK) --extra embedded --extra build -c requirements-dev.lock -o requirements.lock

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Saqshy needs Python 3.11 or newer: make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-run: $(VENV)/bin/python requirements.lock pyproject.toml
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/bin/python requirements-dev.lock pyproject.toml
	$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@ $(VENV)/.installed-run

clean:
	rm -rf $(VENV) var
