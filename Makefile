# What a developer does here. Every target first makes what it needs, and only when something changed: the virtual
# environment and its stamps in .venv/, Rust's output in target/. Outside the checkout only Debian packages are touched,
# and those only as root or with a sudo that asks for no password; otherwise the missing ones are named.

BIND ?= 127.0.0.1:8000
FUZZ_SECONDS ?= 60

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test neighbours lint format bench docs fuzz clean system-packages

VENV := $(CURDIR)/.venv
EXAMPLE := examples/library
# Compiled now, or each start of a server would compile Django anew where Python may not write.
PIP_INSTALL = $(VENV)/bin/uv pip install --quiet --compile-bytecode
# DJANGO_DEBUG=0: the example is served as on a live site.
MANAGE = cd $(EXAMPLE) && DJANGO_DEBUG=0 $(VENV)/bin/python manage.py
# What cargo builds for, and where maturin installs.
export VIRTUAL_ENV := $(VENV)
export PYO3_PYTHON := $(VENV)/bin/python

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/package $(EXAMPLE)/var/loaded  ## Build, and serve the example project on http://127.0.0.1:8000
	$(MANAGE) migrate --verbosity 0
	$(MANAGE) collectstatic --no-input --verbosity 0
	cd $(EXAMPLE) && DJANGO_DEBUG=0 exec $(VENV)/bin/penstock serve --bind $(BIND)

# LD_LIBRARY_PATH: cargo's tests are linked to Python's library, which need not be where the system looks.
test: .venv/package .venv/neighbours/made system-packages  ## Build, and run every test of Rust and Python
	export LD_LIBRARY_PATH="$$($(VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))')"; \
	if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --workspace && cargo test --workspace --doc; \
	else cargo test --workspace; fi
	$(VENV)/bin/pytest

neighbours: .venv/neighbours/made  ## Make environments with another Django, and another Python, for tests of sites

lint: .venv/package  ## Check format, style, types, and that generated files are fresh
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/stubtest penstock._native
	@command -v cargo-fmt >/dev/null && command -v cargo-clippy >/dev/null || { \
	  case "$(CARGO_PACKAGE)" in cargo) missing='rustfmt rust-clippy';; *) missing='rustfmt-web rust-web-clippy';; esac; \
	  $(call apt_get,$$missing) || { printf '%s\n' "error: not installed: $$missing" "" \
	    "hint: sudo apt-get install $$missing, or rustup component add rustfmt clippy"; exit 1; }; }
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	$(VENV)/bin/pytest --quiet tests/unit/test_settings.py tests/interop/test_behaviour_page.py -k fresh

format: .venv/package  ## Put every file into the agreed format, and write the generated ones anew
	$(VENV)/bin/ruff check --fix-only
	$(VENV)/bin/ruff format
	cargo fmt --all
	$(VENV)/bin/python -m penstock.reference docs/reference
	$(VENV)/bin/python tests/interop/behaviour_page.py docs/reference/behaviour.md

bench: .venv/package system-packages  ## Measure Penstock beside other servers (ARGUMENTS="--rows hello --quick")
	$(VENV)/bin/python benches/run.py $(ARGUMENTS)

docs: .venv/docs  ## Build the documentation into docs/_build/html
	$(VENV)/bin/sphinx-build --quiet --fail-on-warning --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

fuzz:  ## Fuzz the HTTP parser, FUZZ_SECONDS (60) for each target
	@cargo +nightly --version >/dev/null || { echo 'hint: rustup toolchain install nightly'; exit 1; }
	@cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz
	for target in $$(cargo +nightly fuzz list); do \
	  cargo +nightly fuzz run "$$target" -- -max_total_time=$(FUZZ_SECONDS) || exit 1; done

clean:  ## Remove all that was built; the example's data stays
	rm -rf .venv target fuzz/target docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -f src/penstock/_native*.so

# $(call apt_get,PACKAGES) fails, without asking for anything, where it may not install. RUNLEVEL=1: no service starts.
apt_get = ( as=; [ "$$(id -u)" = 0 ] || { sudo -n true 2>/dev/null || exit 1; as='sudo -n'; }; \
  echo "Installing Debian packages:" $(1) >&2; \
  $$as apt-get update -qq && $$as env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends $(1) >/dev/null )

# A command, or a file, and the package that brings it.
SYSTEM := wrk:wrk nginx:nginx-light chromium:chromium chromedriver:chromium-driver /usr/include/ev.h:libev-dev \
  /usr/lib/postgresql:postgresql apache2:apache2 /usr/lib/apache2/modules/mod_wsgi.so:libapache2-mod-wsgi-py3 \
  haproxy:haproxy systemd-analyze:systemd
system-packages:  ## Install what some tests and benchmarks need: wrk, nginx, chromium, libev, PostgreSQL, Apache, HAProxy, systemd
	@missing=; PATH="$$PATH:/usr/sbin"; for entry in $(SYSTEM); do \
	  command -v "$${entry%:*}" >/dev/null || test -e "$${entry%:*}" || missing="$$missing $${entry#*:}"; done; \
	test -z "$$missing" || $(call apt_get,$$missing) || printf '%s\n' "note: not installed:$$missing." \
	  "Tests that need them are skipped and say why; benchmarks leave out what they cannot run." \
	  "hint: sudo apt-get install$$missing"

# 1.85, as Cargo.toml's rust-version says. Debian 12's "cargo" is 1.65; its "cargo-web", kept new for browsers, will do.
NEW_CARGO = { cargo --version 2>/dev/null | awk '{ split($$2, version, "."); found = version[1] > 1 || version[2] >= 85 } \
  END { exit !found }'; }
CARGO_PACKAGE = $$(apt-cache show cargo-web >/dev/null 2>&1 && echo cargo-web || echo cargo)

# Python.h stands for python3-dev, with the library that cargo's tests are linked to. A cargo of rustup's is left alone.
.venv/bin/uv:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: Penstock needs Python 3.11 or later; python3 is $$(python3 --version)."; exit 1; }
	@missing=; python3 -c 'import ensurepip' 2>/dev/null || missing=python3-venv; \
	test -e "$$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" \
	  || missing="$$missing python3-dev"; \
	command -v cc >/dev/null || missing="$$missing build-essential"; \
	case "$$(command -v cargo)" in ''|/usr/bin/cargo) $(NEW_CARGO) || missing="$$missing $(CARGO_PACKAGE)";; esac; \
	missing="$${missing# }"; test -z "$$missing" || $(call apt_get,$$missing) || { \
	  printf '%s\n' "error: not installed, or too old: $$missing" "" "hint: sudo apt-get install $$missing"; exit 1; }
	python3 -m venv .venv
	$(VENV)/bin/pip install --quiet --disable-pip-version-check uv

.venv/tools: pyproject.toml .venv/bin/uv
	$(PIP_INSTALL) 'maturin>=1.9,<2' --requirement pyproject.toml --extra django --group test --group lint
	@touch $@

.venv/docs: pyproject.toml .venv/tools
	$(PIP_INSTALL) --group docs
	@touch $@

# In the checkout: changes in src/ are seen at once, changes of these files build anew.
.venv/package: .venv/tools Cargo.toml Cargo.lock $(shell find crates -name '*.rs' -o -name Cargo.toml)
	@$(NEW_CARGO) || { printf '%s\n' \
	  "error: Penstock needs cargo 1.85 or later; found: $$(cargo --version 2>/dev/null || echo none)." "" \
	  "hint: sudo apt-get install $(CARGO_PACKAGE), or rustup update stable (https://rustup.rs)"; exit 1; }
	$(VENV)/bin/maturin develop --release --uv
	@touch $@

.venv/neighbours/made: .venv/package tests/sites/make_neighbours.py
	$(VENV)/bin/python tests/sites/make_neighbours.py
	@touch $@

# Once: what was changed by hand is kept.
$(EXAMPLE)/var/loaded: | .venv/tools
	$(MANAGE) migrate --verbosity 0
	$(MANAGE) loaddata --verbosity 0 books
	@touch $@
