# Emitrace: the eight commands. Each makes its own .venv first; nothing outside this folder is touched.
#
#   make demo                  the whole chain on loopback, until Ctrl-C
#   make demo ARGS="--for 60"  the same for 60 s, then measured against true and a verified bundle
#   make demo ARGS=--history   a year of the plant made in minutes, measured against true, then its dashboard
#   make test                  all tests (uses the real services it finds and says what it left out)
#   make test ARGS="tests/e2e" part of them
#   make bench                 what a reading costs, beside what was measured of others; writes bench.json
#   make bench ONLY=agent      part of it: agent, serial, wire, collector, calibration, history, rig, web
#   make wheelhouse            what a Raspberry Pi needs, for installing without internet, into dist/wheelhouse
#   make soak | make lint | make clean

SHELL := /bin/sh
.DELETE_ON_ERROR:
unexport PYTHONDONTWRITEBYTECODE  # compiled modules are kept: the many programs of a test run start in half the time
.PHONY: help demo test soak bench wheelhouse lint clean

VENV := .venv
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,$(shell \
	command -v $(name) >/dev/null 2>&1 && \
	$(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))) python3)
PIP := $(VENV)/bin/python -m pip --quiet --disable-pip-version-check
PACKAGES := agent calibration collector protocols simulators
ARGS ?=
ONLY ?=
WORKERS ?= 3
WAITERS ?= 5
SPREAD := --dist loadfile --no-loadscope-reorder
INTO ?= dist/wheelhouse
MACHINE ?= aarch64
FOR_PYTHON ?= 3.11

help:
	@sed -n 's/^#   \{0,1\}/  /p' Makefile

demo: $(VENV)/.ready-demo
	@$(VENV)/bin/emitrace-simulate demo $(ARGS)

# The coverage of every branch is asked of the pure core, where a branch nobody tried is a wrong number.
CORE := protocols calibration
WHOLE := e2e or chromium

test: $(VENV)/.ready-dev
	@rm -f .coverage
ifeq ($(strip $(ARGS)),)  # what keeps time alone, what waits for the agent's clock, whole programs, then what works in process
	$(VENV)/bin/python -m pytest -m "clock and not soak" tests/agent
	$(VENV)/bin/python -m pytest -m "not clock and not soak" -n $(WAITERS) $(SPREAD) tests/agent
	$(VENV)/bin/python -m pytest -m "not soak and ($(WHOLE))" -n $(WAITERS) $(SPREAD) --ignore=tests/agent
	$(VENV)/bin/python -m pytest -m "not soak" -n $(WORKERS) $(SPREAD) $(CORE:%=--cov=%) --cov-report= $(CORE:%=tests/%)
	$(VENV)/bin/python -m pytest -m "not soak and not ($(WHOLE))" -n $(WORKERS) $(SPREAD) --ignore=tests/agent $(CORE:%=--ignore=tests/%)
	@printf 'coverage of $(CORE), branches included, in %%: '
	@$(VENV)/bin/python -m coverage report --format=total --fail-under=90 || { $(VENV)/bin/python -m coverage report; exit 1; }
else
	$(VENV)/bin/python -m pytest $(ARGS)
endif

soak: $(VENV)/.ready-dev
	$(VENV)/bin/python -m pytest -m soak $(ARGS)

bench: $(VENV)/.ready-dev
	@$(VENV)/bin/python -m tests.bench $(ONLY)

wheelhouse: $(VENV)/.made
	@rm -rf $(INTO)
	@$(PIP) wheel --no-deps --wheel-dir $(INTO) .
	@$(PIP) download --dest $(INTO) --only-binary=:all: --implementation cp --python-version $(FOR_PYTHON) \
	  --platform manylinux2014_$(MACHINE) --platform manylinux_2_28_$(MACHINE)  \
	  "$$(ls $(INTO)/emitrace-*.whl)[agent,field]"
	@echo "$(INTO): $$(ls $(INTO) | wc -l) wheels for $(MACHINE), Python $(FOR_PYTHON); docs/technician.md says how to install from them"

lint: $(VENV)/.ready-dev
	$(VENV)/bin/ruff check $(PACKAGES) tests
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache --no-logo

clean:
	rm -rf $(VENV) build dist bench-profiles .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* htmlcov
	find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +

# What `make demo` runs needs no test tools; the developers' set-up holds both.
$(VENV)/.ready-demo: pyproject.toml | $(VENV)/.made
	@if [ -f $(VENV)/.ready-dev ]; then $(MAKE) --no-print-directory $(VENV)/.ready-dev; else \
	  echo "installing Emitrace into $(VENV) (once; about half a minute)"; \
	  $(PIP) install --editable '.[agent,collector,simulators]'; fi
	@touch $@

$(VENV)/.ready-dev: pyproject.toml | $(VENV)/.made
	@echo "installing Emitrace with its test tools into $(VENV) (once; about a minute)"
	@$(PIP) install --editable '.[dev]'
	@touch $@

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Emitrace needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Install one (Debian 12: apt-get install python3) or name it: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; \
	  exit 3; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make a virtual environment: its venv module is missing." >&2; \
	  echo "Install it (Debian: apt-get install python3-venv), then run make again." >&2; \
	  exit 3; }
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@
