# Each target sets up what it needs by itself: a private uv, then .venv with exactly what uv.lock names.
# Needed before: git make curl jq python3 (3.11 or newer) python3-venv. Extra arguments go in ARGS: make up ARGS=--demo

PYTHON ?= python3
ARGS   ?=
BIN    := .venv/bin
READY  := .venv/.ready

# What another project left in this shell must not choose our interpreter, our packages or where they go.
unexport VIRTUAL_ENV CONDA_PREFIX PYTHONHOME PYTHONPATH PYTHONSTARTUP __PYVENV_LAUNCHER__
unexport UV_PROJECT UV_PROJECT_ENVIRONMENT UV_PYTHON UV_SYSTEM_PYTHON UV_FROZEN UV_LOCKED UV_NO_SYNC UV_WORKING_DIR
unexport PIP_USER PIP_TARGET PIP_PREFIX PIP_CONSTRAINT PIP_REQUIREMENT

.PHONY: up test check lint bench clients fuzz soak fmt docs
.NOTPARALLEL:
.DEFAULT_GOAL := up

up: $(READY)  # gateway, API and ledger on this machine
	@exec $(BIN)/kt up $(ARGS)

test: $(READY)  # every test; pick some with ARGS='-k wallet'
	$(BIN)/pytest --numprocesses auto --dist loadfile $(ARGS)

check: lint test  # what has to be green before a commit

lint: $(READY)  # all of check but the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python docs/generate.py --check

bench: $(READY)  # this gateway beside its peers; results in bench/RESULTS.md
	$(BIN)/python -m bench.run $(ARGS)

clients: $(READY)  # official and popular clients against every provider; they have an environment of their own
	$(BIN)/python -m tests.clients.environment
	$(BIN)/pytest -m clients tests/clients $(ARGS)

fuzz: $(READY)  # strangers' bytes, millions of them, steered by what code they reach; ARGS='--only streams'
	@mkdir -p build
	@bash .ci/uv export --quiet --frozen --only-group fuzz --output-file build/fuzz.txt >/dev/null
	@bash .ci/uv pip install --quiet --python $(BIN)/python --require-hashes --no-build --requirement build/fuzz.txt
	$(BIN)/python -m tests.fuzz $(ARGS)

soak: $(READY)  # every fault for real, for about an hour; the table in build/soak/table.md
	$(BIN)/python -m tests.soak $(ARGS)

fmt: $(READY)  # lay out the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(READY)  # write the generated part of docs/reference
	$(BIN)/python docs/generate.py

# Scripts of a moved or copied checkout point at its old place: the stamp remembers where it was made.
ifneq ($(shell [ -x $(BIN)/python ] && cat $(READY) 2>/dev/null),$(CURDIR))
.PHONY: $(READY)
endif

$(READY): pyproject.toml uv.lock requirements-uv.txt .ci/setup .ci/uv
	@PYTHON="$(PYTHON)" bash .ci/setup
