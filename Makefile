# make run: start everything. make test: the suite. make lint: style and types.
# make chaos: kill -9 by the hundred, half an hour; ARGS="--seed ..." repeats one.
# make fuzz: 5,000 generated requests without keys and as many with them; ARGS="--seed ..." repeats a run.
# make lock: pin all packages with hashes. make audit: known vulnerabilities (asks pypi.org). make sbom: what is inside.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test lint format lock audit sbom demo-sheet clean chaos fuzz

run: $(VENV)/.service
	@exec $(BIN)/python -m app

test: $(VENV)/.development
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

chaos: $(VENV)/.development
	$(BIN)/python -m tests.chaos --server nx-27017 $(ARGS)
	$(BIN)/python -m tests.chaos --server secantus $(ARGS)

fuzz: $(VENV)/.development
	$(BIN)/python -m tests.fuzz $(ARGS)

lint: $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.development
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/.development
	$(BIN)/uv pip compile requirements.txt --universal --python-version 3.11 --generate-hashes \
		--quiet --custom-compile-command "make lock" --output-file requirements.lock $(ARGS)

audit: $(VENV)/.development
	@$(BIN)/pip-audit --requirement requirements.lock --require-hashes --disable-pip --format json \
		--progress-spinner off $(ARGS) | $(BIN)/python .ci/audit.py requirements.lock

sbom: $(VENV)/.development
	@mkdir -p runs
	$(BIN)/cyclonedx-py requirements requirements.lock --of JSON --output-reproducible -o runs/sbom.cdx.json

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.service: requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.development: requirements.txt requirements-dev.txt clients/requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@ $(VENV)/.service
