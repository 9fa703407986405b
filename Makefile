# make study | test | test-slow | smoke | tables | check | bench: each installs what it needs into .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Quick tests of every room, and the commands from a search by two workers to the test of the best model.
SMOKE := $(addprefix tests/,lightning_modules/test_loader.py lightning_modules/test_classifier.py \
    test_newest_python.py) \
    $(addprefix tests/studies/,analysis/test_table.py analysis/test_racing.py race/test_table.py \
    reading/test_space.py report/test_findings.py report/test_selected_study.py test_crew.py test_claim.py \
    test_journal.py test_layers.py test_lease.py test_list.py test_opening.py test_pruners.py test_signals.py \
    test_training.py test_warm_start.py \
    test_commands.py::test_the_main_job_on_digits_from_search_to_test)

.PHONY: study test test-slow smoke smoke-tests tables check bench clean

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt --editable '.[dev]'
	touch $@

study: $(INSTALLED)
	$(BIN)/python -m studies.run +study=mnist

test: $(INSTALLED)
	$(BIN)/python -m pytest -m 'not slow'

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m slow

# The checks and the smoke tests on the newest Python of this machine, in an environment of its own.
smoke: $(INSTALLED)
	@found="$$($(BIN)/python tests/newest_python.py)" || exit; \
	[ -z "$$found" ] || $(MAKE) PYTHON="$${found#* }" VENV=".venv-$${found%% *}" check smoke-tests

smoke-tests: $(INSTALLED)
	$(BIN)/python -m pytest $(SMOKE)

tables: $(INSTALLED)
	$(BIN)/python -m studies.reference

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(INSTALLED)
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/workers.py
	$(BIN)/python benchmarks/start.py
	$(BIN)/python benchmarks/analysis.py
	$(BIN)/python benchmarks/winner.py
	PYTHONPATH=tests $(BIN)/python benchmarks/scale.py

clean:
	rm -rf $(VENV) .venv-3.* build dist
