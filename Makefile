# `make demo` and `make test` do all the set-up on a fresh machine with Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
# wheels only: nothing is ever compiled at install time
WHEELS := --only-binary :all: -c constraints.txt
WORKERS ?= 2

.PHONY: install install-dev demo docs test test-all lint clean
.DELETE_ON_ERROR:

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("hepfilter needs Python 3.11 or newer: make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install $(WHEELS) --editable '.[sim]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install $(WHEELS) --editable '.[dev]'
	@touch $@ $(VENV)/.installed

# The main job on a small sample that it makes itself: QCD and top pairs with a few W' → X Y among them.
demo: install
	mkdir -p demo
	$(BIN)/hepfilter simulate qcd@200 ttbar -n 1000 --seed 1 --workers $(WORKERS) --force -o demo/background.root
	$(BIN)/hepfilter simulate wprime_xy leptoquark_ue -n 20 --seed 2 --force -o demo/signal.root
	$(BIN)/hepfilter inspect demo/background.root
	$(BIN)/hepfilter skim demo/background.root demo/signal.root --keep 2% --force -o demo/skim.root
	$(BIN)/hepfilter verify demo/skim.root

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) -m "not long"

test-all: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS)

# the documentation as a site that needs no network: site/index.html
docs: install-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf demo site build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
