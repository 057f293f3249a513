# Every target sets up what it needs in .venv, on a machine that has Python, a C++ compiler and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
NATIVE := $(wildcard native/*) CMakeLists.txt pyproject.toml

.PHONY: FORCE help env demo docs browser test test-scipy test-slow sanitize sanitize-short lint format bench wheel clean
help:
	@echo "make demo       train a spatial transformer on distorted digits and write runs/demo/report.html"
	@echo "make docs       the site, in docs/_build/html; every cell of its pages is executed"
	@echo "make test       the test suite                make test-slow  the tests left out of it"
	@echo "make mutants    small faults put into the code, each of which the tests must find"
	@echo "make test-scipy  SciPy's own tests of its interpolation functions, on pullback.compat.scipy"
	@echo "make sanitize   native code with every memory access checked: the tests, and two minutes of random calls"
	@echo "make sanitize-short  some of the tests and 30 seconds of random calls, with one instruction set"
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

# An editable package finds its modules by a list that was made when it was installed: where files came, went or moved,
# it is installed anew.
$(VENV)/modules: $(BIN)/python FORCE
	@find src -name '*.py' | LC_ALL=C sort > $@.found; cmp -s $@.found $@ && rm $@.found || mv $@.found $@

$(VENV)/built: $(VENV)/tools $(VENV)/modules $(NATIVE)
	$(PIP) --no-build-isolation --editable '.[train,bench,docs,dev]'
	@touch $@

env: $(VENV)/built

demo: $(VENV)/built
	rm -rf runs/demo
	$(BIN)/pullback train --distortion rts --seeds 3 --name demo

docs: $(VENV)/built
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -b html docs docs/_build/html
	@echo "docs/_build/html: look at it by $(BIN)/python -m http.server --directory docs/_build/html"

# The tests of the site's figures need a browser: Debian's, where it can be had; else they are skipped.
browser:
	@command -v chromium chromium-browser google-chrome > /dev/null || \
		(apt-get update && apt-get install --yes --no-install-recommends chromium) > /dev/null 2>&1 || \
		echo "no Chromium here: the tests of the site's figures will be skipped"

# A process that has nothing left to do takes tests from another.
IN_PROCESSES := --numprocesses auto --maxprocesses 4 --dist worksteal

test: $(VENV)/built browser
	$(BIN)/python -m pytest -q $(IN_PROCESSES)

# SciPy's own tests of its interpolation functions, on those of pullback.compat.scipy.
test-scipy: $(VENV)/built
	$(BIN)/python tests/scipy_interpolation.py

# Small faults, each of which the tests must find.
mutants: $(VENV)/built
	$(BIN)/python tests/mutants.py

test-slow: $(VENV)/built
	$(BIN)/python -m pytest -q $(IN_PROCESSES) -m slow

# The tests that run native code, with every memory access checked and undefined behaviour looked for. The package that
# they test stands in build/; -S keeps the editable install, which would go first, out of the way. What forks, starts
# processes or mostly trains is left out, and what holds the last digits of optimised code against a peer.
sanitize: SANITIZED := build/sanitize
sanitize: SANITIZED_TESTS := $(filter-out tests/test_cli% $(patsubst %,tests/test_%.py,colocalization compat_cv2 compat_torch \
	data distortions distributed face files nn nn_failures nn_forms peers pictures readme regularizers report site site_transforms symbols train), \
	$(wildcard tests/test_*.py)) tests/conformance -k 'not fork and not environment and not an_isa_that_is_not_here'
sanitize: SANITIZED_SECONDS := 120
sanitize-short: SANITIZED := build/sanitize-short
sanitize-short: SANITIZED_OPTIONS := -D PULLBACK_NATIVE=ON
sanitize-short: SANITIZED_TESTS := tests/test_hostile.py tests/test_native_arguments.py tests/test_layout.py tests/test_labels.py
sanitize-short: SANITIZED_SECONDS := 30
SANITIZED_PYTHON = env \
	LD_PRELOAD="$$(for name in asan ubsan stdc++; do $(CXX) -print-file-name=lib$$name.so; done | xargs)" \
	PYTHONPATH="$(SANITIZED)/package:$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 PYTHONMALLOC=malloc $(BIN)/python -S

sanitize sanitize-short: $(VENV)/built
	$(BIN)/cmake -S . -B $(SANITIZED) -G Ninja -D CMAKE_MAKE_PROGRAM=$(abspath $(BIN)/ninja) \
		-D CMAKE_BUILD_TYPE=RelWithDebInfo -D CMAKE_CXX_COMPILER=$(CXX) -D Python_EXECUTABLE=$(abspath $(BIN)/python) \
		-D PULLBACK_SANITIZE=ON $(SANITIZED_OPTIONS)
	$(BIN)/cmake --build $(SANITIZED)
	rm -rf $(SANITIZED)/package
	$(BIN)/cmake --install $(SANITIZED) --prefix $(SANITIZED)/package
	cp -r src/pullback $(SANITIZED)/package
	$(SANITIZED_PYTHON) -m pytest -q --capture=sys -p no:cacheprovider $(SANITIZED_TESTS)
	$(SANITIZED_PYTHON) tests/fuzz.py --seconds $(SANITIZED_SECONDS)

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
	$(BIN)/python benchmarks/everyday.py

wheel: $(VENV)/tools
	$(BIN)/python -m pip wheel --no-build-isolation --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) build dist runs .mypy_cache .pytest_cache .ruff_cache .hypothesis
