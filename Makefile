# Everything here needs git, make, Python 3.11+ with venv, and the network to a package index.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin

.PHONY: demo test test-all check docs clean

# The stamp's name holds what was installed, so a changed pyproject.toml reinstalls.
$(VENV)/installed-%: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --compile-bytecode -c constraints.txt -e "$(if $(filter dev,$*),.[dev],.)"
	touch $@

demo: $(VENV)/installed-base
	$(BIN)/midvision demo $(ARGS)

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n auto -m "not browser and not realdata and not accept"

test-all: $(VENV)/installed-dev
	$(BIN)/python -m pytest -n auto -m "not accept"

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/installed-dev
	$(BIN)/python -m sphinx -W --keep-going -b html docs build/docs

include tests/accept/accept.mk

clean:
	rm -rf $(VENV) results
