# Every target sets up what it needs in .venv, on a machine that has Python, a C++ compiler and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
NATIVE := $(wildcard native/*) CMakeLists.txt pyproject.toml

.PHONY: help env demo test test-scipy test-slow lint format bench wheel clean
help:
	@echo "make demo       train a spatial transformer on distorted digits and write runs/demo/report.html"
	@echo "make test       the test suite                make test-slow  the tests left out of it"
	@echo "make test-scipy  SciPy's own tests of its interpolation functions, on pullback.compat.scipy"
	@echo "make lint       ruff, mypy, clang-format      make format     what of it can be mended by itself"
	@echo "make bench      ratios against the peers      make env        the development environment in .venv"
	@echo "make wheel      a wheel in dist/              make clean      remove what the build made"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip

# torch comes first and alone, in its pinned version, so that no other package draws in another build of it.
$(VENV)/tools: $(BIN)/python constraints.txt
	$(PIP) torch
	$(PIP) scikit-build-core nanobind ninja cmake
	@touch $@

$(VENV)/built: $(VENV)/tools $(NATIVE)
	$(PIP) --no-build-isolation --editable '.[train,bench,dev]'
	@touch $@

env: $(VENV)/built
	$(PIP) --no-build-isolation --editable '.[train,bench,docs,dev]'

demo: $(VENV)/built
	rm -rf runs/demo
	$(BIN)/pullback train --distortion rts --seeds 3 --name demo

test: $(VENV)/built
	$(BIN)/python -m pytest -q

# SciPy's own tests of its interpolation functions, on those of pullback.compat.scipy.
test-scipy: $(VENV)/built
	$(BIN)/python tests/scipy_interpolation.py

test-slow: $(VENV)/built
	$(BIN)/python -m pytest -q -m slow

lint: $(VENV)/built
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict src
	$(BIN)/clang-format --dry-run --Werror native/*.hpp native/*.cpp

format: $(VENV)/built
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i native/*.hpp native/*.cpp

bench: $(VENV)/built
	$(BIN)/python benchmarks/bench.py

wheel: $(VENV)/tools
	$(BIN)/python -m pip wheel --no-build-isolation --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) build dist runs .mypy_cache .pytest_cache .ruff_cache .hypothesis
