# Two commands matter: `make demo` and `make test`. Each does its own set-up, once for each change of the pinned versions.
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint contracts contracts-campaign clean FORCE

# A stamp is named after all that a set-up depends on, the folder included: a moved checkout is set up again.
KEY := $(shell (pwd; cat pyproject.toml constraints.txt contracts/package.json node/web/package.json scripts/setup) | cksum | tr ' ' -)
RUNTIME := .cache/setup-$(KEY).stamp
DEVELOPMENT := .cache/develop-$(KEY).stamp
INSTALLED := $(wildcard .venv/bin/morphware)
# Programs that come from npm and PyPI are found first, wherever this folder lies.
TOOLS := PATH="$(CURDIR)/.venv/bin:$$PATH"

help: ## Show these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-25s %s\n", $$1, $$2}'

setup: $(RUNTIME) ## Install everything that Morphware needs into .venv and contracts/node_modules
	@echo "Everything is installed. Next: make demo. For the command morphware: . .venv/bin/activate"

demo: $(RUNTIME) ## Run a real training job through a real network on this machine, from auction to payout
	@.venv/bin/morphware testnet --job digits

# Three processes for two cores: one of them runs whole networks, which mostly wait (tests/conftest.py).
test: lint ## Lint, types, import arrows, then all tests (contracts, adapters, whole networks)
	@$(TOOLS) .venv/bin/python -m pytest -n 3 --dist loadscope --no-loadscope-reorder

lint: $(DEVELOPMENT) ## Only the checks that run nothing: ruff, mypy, import arrows
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check --quiet . || { echo "Formatting differs: run .venv/bin/ruff format ."; exit 1; }
	@.venv/bin/mypy protocol node contracts sim tests
	@.venv/bin/lint-imports --no-logo

contracts: $(DEVELOPMENT) ## Compile the Solidity sources and renew the ABI and bytecode that we ship
	@$(TOOLS) .venv/bin/python -m morphware.contracts.build

contracts-campaign: $(DEVELOPMENT) ## The long checks of the contracts, hours; ended, it goes on where it was (ONLY=proofs: one of them)
	@$(TOOLS) .venv/bin/python -m morphware.contracts.checks.campaign $(ONLY:%=--only %)

clean: ## Remove caches and build outputs (the environment in .venv stays)
	@rm -rf .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist contracts/out contracts/cache
	@find . -name __pycache__ -not -path './.venv/*' -not -path './contracts/node_modules/*' -prune -exec rm -rf {} +

$(RUNTIME): $(if $(INSTALLED),,FORCE)
	@scripts/setup runtime "$@"

$(DEVELOPMENT): $(if $(INSTALLED),,FORCE)
	@scripts/setup development "$@"
	@touch $(RUNTIME)

FORCE:
