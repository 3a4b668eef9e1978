# One command each: `make run` starts AdaDeep, `make check` is what CI runs. Everything lives in .venv.
# Everything is pinned with hashes in requirements*.lock. On Linux the standard PyTorch wheel brings CUDA along; the README
# says how to pick the small one, whose hash is then its index's to tell: make run TORCH_WHEEL="torch==2.13.0 --index-url URL"
TORCH_WHEEL ?=
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PORT ?= 8000
# Processes that share the tests, each with a data folder of its own. Browser tests come after the others, in the order of
# their files, of which the first takes longest; then, one by one, those that hold the product to a time.
TEST_PROCESSES ?= 2
HOST ?= 127.0.0.1

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Python's playwright carries a Node of its own, so the JavaScript tests need none from the system.
NODE = $(shell command -v node || ls $(VENV)/lib/python3*/site-packages/playwright/driver/node)
JS_TESTS = $(wildcard tests/js/*.test.js)
# Tests and checks never touch a person's own projects, and share two cores without fighting.
QUIET_HOME := ADADEEP_HOME=$(CURDIR)/.adadeep OMP_NUM_THREADS=1

.PHONY: setup setup-dev run test test-slow lint check format bench bench-paper bench-peers browser browser-runtime clean
.PHONY: lock audit extra-ncnn extra-litert extra-executorch
.DEFAULT_GOAL := run

setup: $(VENV)/.stamp-run $(VENV)/.stamp-browser-runtime

setup-dev: $(VENV)/.stamp-dev $(VENV)/.stamp-browser-runtime

# What several machines need on top; see docs/hosts.md.
setup-hosts: setup $(VENV)/.stamp-hosts

run: setup
	@set -a; if [ -f .env ]; then . ./.env; fi; exec $(BIN)/python manage.py up --host $(HOST) --port $(PORT)

test: setup-dev browser hosts
	$(QUIET_HOME) $(BIN)/pytest -m "not slow" -n $(TEST_PROCESSES) --dist loadfile --ignore tests/e2e --durations 20 $(PYTEST_ARGS)
	$(QUIET_HOME) $(BIN)/pytest -m "not slow and not alone" -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder tests/e2e --durations 20 $(PYTEST_ARGS)
	$(QUIET_HOME) $(BIN)/pytest -m "not slow and alone" tests/e2e --durations 10 $(PYTEST_ARGS)

test-slow: setup-dev browser hosts
	$(QUIET_HOME) $(BIN)/pytest -m "slow" --timeout 1500 $(PYTEST_ARGS)

# The web tier's tests on PostgreSQL, and two machines with a broker and a store of files between them.
test-hosts: setup-dev hosts
	$(QUIET_HOME) $(BIN)/pytest tests/hosts $(PYTEST_ARGS)

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(QUIET_HOME) $(BIN)/mypy
	$(BIN)/lint-imports
	$(if $(JS_TESTS),$(NODE) --test $(JS_TESTS))

check: lint test

format: setup-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup-dev
	$(BIN)/python -m benchmarks.compress_lenet
	$(BIN)/python -m benchmarks.compress_motion
	$(BIN)/python -m benchmarks.slider
	$(BIN)/python -m benchmarks.deep_studio
	$(BIN)/python -m benchmarks.page_weight
	$(BIN)/python -m benchmarks.selector_gap
	$(BIN)/python -m benchmarks.ratios_cifar_nets

# The paper's tables and today's tools, hours on two cores; both go on where they were stopped. TASKS="digits motion" does some.
bench-paper: setup-dev
	$(BIN)/python -m benchmarks.paper $(TASKS)
	$(BIN)/python -m benchmarks.referee $(TASKS) --rounds 40
	$(BIN)/python -m benchmarks.proof

bench-peers: setup-dev .venv-peers/.stamp-peers
	.venv-peers/bin/python -m benchmarks.peers $(TASKS)
	$(BIN)/python -m benchmarks.referee $(TASKS) --rounds 40
	$(BIN)/python -m benchmarks.proof

# The last two ask for torchvision and for a NumPy that fits nothing else here; they are used without.
.venv-peers/.stamp-peers: benchmarks/requirements-peers.lock benchmarks/requirements-peers-alone.lock requirements-torch.lock
	$(PYTHON) -m venv .venv-peers
	$(call install_torch,.venv-peers)
	.venv-peers/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r benchmarks/requirements-peers.lock
	.venv-peers/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --require-hashes -r benchmarks/requirements-peers-alone.lock
	@touch $@

# Other formats: each converter has an environment of its own, beside .venv, because it fits no other.
extra-ncnn extra-litert extra-executorch: extra-%: .venv-%/.stamp-extra

.venv-%/.stamp-extra: requirements-%.lock requirements-torch.lock requirements-cuda.lock
	$(PYTHON) -m venv .venv-$*
	$(call install_torch,.venv-$*)
	.venv-$*/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements-$*.lock
	@touch $@

# Browser tests skip themselves, and say so, where there is no Chromium.
browser:
	@command -v chromium >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -qq --no-install-recommends chromium; \
	else \
	    echo "Chromium is missing: browser tests are skipped. Install the package 'chromium'."; \
	fi

.PHONY: hosts setup-hosts test-hosts
# So do the tests of several machines without PostgreSQL.
hosts:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -qq --no-install-recommends postgresql iproute2; \
	else \
	    echo "PostgreSQL is missing: tests of several machines are skipped. Install the package 'postgresql'."; \
	fi

# What measures browsers comes from npm. Without it everything else works, so a failure ends no setup.
browser-runtime: $(VENV)/.stamp-venv
	$(BIN)/python webapp/browserruntime.py .browser-runtime

$(VENV)/.stamp-browser-runtime: $(VENV)/.stamp-venv webapp/browserruntime.py
	@$(BIN)/python webapp/browserruntime.py .browser-runtime || true
	@touch $@

clean:
	rm -rf $(VENV) .browser-runtime .venv-tools .venv-peers .venv-ncnn .venv-litert .venv-executorch .mypy_cache .ruff_cache .pytest_cache .import_linter_cache staticfiles

$(VENV)/.stamp-venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "AdaDeep needs Python 3.11 or newer. Say which: make run PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && \
	      apt-get install -y -qq python3-venv; } || \
	    { echo "Python's venv is missing. Install the package 'python3-venv'."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

# torch goes first and alone: pulled in by another package it would come as the CUDA wheel. It is fetched, then checked: pip
# by itself would pass over a wheel without CUDA that lies at hand. What the CUDA wheel needs of NVIDIA comes along with
# it; the rest of what PyTorch needs is in requirements.lock.
define install_torch
$(1)/bin/python -m pip --disable-pip-version-check --quiet download --no-deps --dest $(1)/torch-wheel $(or $(TORCH_WHEEL),torch==2.13.0)
$(1)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --no-index \
    $(if $(TORCH_WHEEL),$(1)/torch-wheel/*.whl,--find-links $(1)/torch-wheel --require-hashes -r requirements-torch.lock)
@rm -r $(1)/torch-wheel
@if $(1)/bin/python -c 'import sys; from importlib.metadata import version; sys.exit("+" in version("torch"))'; then \
    $(1)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --require-hashes -r requirements-cuda.lock; fi
endef

$(VENV)/.stamp-torch: $(VENV)/.stamp-venv requirements-torch.lock requirements-cuda.lock
	$(call install_torch,$(VENV))
	@touch $@

$(VENV)/.stamp-run: $(VENV)/.stamp-torch requirements.lock
	$(PIP) install --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.stamp-hosts: $(VENV)/.stamp-run requirements-hosts.lock
	$(PIP) install --require-hashes -r requirements-hosts.lock
	@touch $@

$(VENV)/.stamp-dev: $(VENV)/.stamp-run requirements-dev.lock
	$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

# After a change of requirements*.txt, by a person; what is pinned already keeps its version.
lock: .venv-tools/.stamp
	PATH="$(CURDIR)/.venv-tools/bin:$$PATH" $(BIN)/python lock.py
	$(MAKE) setup-dev
	$(BIN)/python docs/licences.py

# Asks PyPI for known holes of what is pinned; without network it says so and checks nothing.
audit: .venv-tools/.stamp
	@for lock in requirements*.lock; do echo "$$lock"; \
	    .venv-tools/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r $$lock || failed=1; done; \
	if [ "$$failed" ]; then echo "Holes are listed above; where it says that PyPI was not found, nothing was checked."; exit 1; fi

.venv-tools/.stamp: requirements-tools.lock
	$(PYTHON) -m venv .venv-tools
	.venv-tools/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements-tools.lock
	@touch $@
