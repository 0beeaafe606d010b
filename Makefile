# The two commands of the README are `make start` and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8080
DATA ?= .millrace
KILLS ?= 12

.PHONY: start test test-all check docs bench lock setup setup-dev clean help

start: setup  ## set everything up and run the product with its demo on 127.0.0.1
	@$(BIN)/millrace serve --data $(DATA) --port $(PORT) --demo

test: setup-dev  ## set everything up and pass the tests
	$(BIN)/python -m pytest -n 2 --dist worksteal -q

check: setup-dev  ## format, lint, import contracts, types, freshness of generated pages
	$(BIN)/ruff format --check -q .
	$(BIN)/ruff check -q .
	$(BIN)/lint-imports --cache-dir .import_linter_cache > .import_linter.log || { cat .import_linter.log; exit 1; }
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/millrace app check
	$(BIN)/python tools/docs.py --check
	@echo "the five longest files:"; git ls-files 'src/*.py' | xargs wc -l | sort -rn | sed -n 2,6p

docs: setup-dev  ## write the generated reference pages
	$(BIN)/python tools/docs.py

bench: setup-dev  ## take every figure of benchmarks/README.md and write benchmarks/results/
	$(BIN)/python -m benchmarks

lock: setup-dev  ## resolve the dependencies anew and pin them with their hashes
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip compile -q --python-version 3.11 --universal --generate-hashes --group build pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --python-version 3.11 --universal --generate-hashes --group build --group dev pyproject.toml -o requirements-dev.lock

setup: $(VENV)/.setup
setup-dev: $(VENV)/.setup-dev

$(VENV)/.setup: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.setup-dev: $(VENV)/.setup requirements-dev.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	@touch $@

clean:  ## remove what `make` made; the data in $(DATA) stays
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*## /\t/' | expand -t 12
