# make app    sets up what is missing and starts the explorer
# make test   sets up what is missing and passes all tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: app test check setup screenshots

app: setup
	$(BIN)/streamlit run app.py

test: $(VENV)/.test
	$(BIN)/python -m pytest

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

screenshots: $(VENV)/.test
	$(BIN)/python docs/screenshots/take.py

setup: $(VENV)/.app

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.app: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install -q -r requirements.txt
	touch $@

$(VENV)/.test: requirements-dev.txt requirements-ray.txt $(VENV)/.app
	$(BIN)/python -m pip install -q -r requirements-dev.txt
	touch $@
