# make app      sets up what is missing and starts the explorer
# make test     sets up what is missing and passes all tests
# make quick    the fast tests, for every day; make check: everything that is no test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# processes that run tests side by side
WORKERS ?= 2

.PHONY: app test quick check house mutants wheel wheel-check setup screenshots

app: setup
	$(BIN)/streamlit run app.py

test: $(VENV)/.test
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

quick: $(VENV)/.test
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow and not browser"

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/vulture
	$(BIN)/pylint --disable=all --enable=duplicate-code --min-similarity-lines=10 --score=no odits pages app.py
	$(BIN)/python tools/house.py --check

# counts rooms, imports and circles, and draws the rooms into CONTRIBUTING.md
house: $(VENV)/.test
	$(BIN)/python tools/house.py --draw CONTRIBUTING.md

# changes the code in one place at a time and sees whether the tests notice
mutants: $(VENV)/.test
	$(BIN)/python tools/mutants.py

wheel: $(VENV)/.test
	$(BIN)/python -m build --no-isolation --outdir dist .

# installs the wheel with all it needs into an empty environment, cuts the network and uses it
wheel-check: $(VENV)/.test
	$(BIN)/python tools/wheel_check.py

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
