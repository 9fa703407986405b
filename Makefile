# make study | test | test-slow | smoke | tables | check | bench | trust: each installs what it needs into .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: study test test-slow smoke smoke-tests tables check bench trust clean

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt --editable '.[dev]'
	touch $@

study: $(INSTALLED)
	$(BIN)/python -m studies.run +study=mnist

# In three processes, for tests wait now and then, each file in one of them, because a file may start a service of its
# own. NumPy has one thread in each: with more, those of several processes wait for each other.
test test-slow smoke-tests: export OPENBLAS_NUM_THREADS := 1

test: $(INSTALLED)
	$(BIN)/python -m pytest -m 'not slow' -n 3 --dist loadfile

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow

# On the newest Python of this machine, in an environment of its own: the checks, quick tests of every room, and the
# commands from a search by two workers to the test of the best model.
smoke: $(INSTALLED)
	@found="$$($(BIN)/python tests/newest_python.py)" || exit; \
	[ -z "$$found" ] || $(MAKE) PYTHON="$${found#* }" VENV=".venv-$${found%% *}" check smoke-tests

smoke-tests: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadfile @tests/smoke.txt

tables: $(INSTALLED)
	$(BIN)/python scripts/reference.py

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(INSTALLED)
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/workers.py
	$(BIN)/python benchmarks/start.py
	$(BIN)/python benchmarks/times.py
	$(BIN)/python benchmarks/analysis.py
	$(BIN)/python benchmarks/winner.py
	PYTHONPATH=tests $(BIN)/python benchmarks/scale.py

# How often the analysis is right, beside its peers: hours on two cores. Begun again, it goes on from its cache.
trust: $(INSTALLED)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt --editable '.[trust]'
	$(BIN)/python benchmarks/trust.py --cache outputs/trust --write docs/trust.md

clean:
	rm -rf $(VENV) .venv-3.* build dist
