# Every command of the project. `make` alone explains them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
KUBERNETES_VERSION ?= 1.36.3
LOCK := requirements.lock
# Control plane tests mostly wait: more of them at once than there are cores. One file, one worker.
WORKERS ?= 4

export KUBERNETES_VERSION

.PHONY: help
help: ## show this page
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-zA-Z_-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Develop

$(STAMP): $(LOCK) pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

.PHONY: dev
dev: $(STAMP) ## create .venv with everything the project needs

.PHONY: demo
demo: $(STAMP) ## run the operator on a real control plane until a BigPeer is Available (ARGS="--stay" keeps it)
	@$(BIN)/smbpctl demo $(ARGS)

.PHONY: run
run: $(STAMP) ## run the operator on this machine against the current kubeconfig context (ARGS="--namespace x")
	@$(BIN)/smbpctl run --log-format console $(ARGS)

.PHONY: fmt
fmt: $(STAMP) ## format and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: lint
lint: $(STAMP) ## format check, lint, types, layer contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/pyright
	@$(BIN)/lint-imports

.PHONY: check
check: lint verify unit ## everything that needs no cluster and ends within two minutes

.PHONY: unit
unit: $(STAMP) ## unit, architecture and golden tests
	@$(BIN)/python -m pytest -q test/unit test/architecture

.PHONY: property
property: $(STAMP) ## Hypothesis property tests
	@$(BIN)/python -m pytest -q test/property

.PHONY: controlplane
controlplane: $(STAMP) ## tests against a real etcd, kube-apiserver, controller-manager and scheduler
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile test/controlplane

.PHONY: test
test: check property controlplane ## everything CI runs

.PHONY: bench
bench: $(STAMP) ## performance figures as ratios of one interleaved run
	@$(BIN)/python -m benchmarks

##@ Generate

.PHONY: generate
generate: $(STAMP) ## write CRD, RBAC and reference pages from the code
	@$(BIN)/python -m hack.generate

.PHONY: verify
verify: $(STAMP) ## fail when a generated file is stale
	@$(BIN)/python -m hack.generate --check

.PHONY: golden
golden: $(STAMP) ## rewrite the golden files; the diff is the review
	@$(BIN)/python -m pytest -q test/unit/resources test/unit/cli --update-golden
	@git --no-pager diff --stat -- test/golden

.PHONY: lock
lock: $(STAMP) ## resolve requirements.lock again
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
		--no-emit-index-url --no-emit-find-links --all-extras --custom-compile-command "make lock" \
		pyproject.toml --output-file $(LOCK) $(ARGS)

##@ Cluster

.PHONY: install
install: $(STAMP) ## put the CRD into the current kubeconfig context
	@$(BIN)/smbpctl crd | kubectl apply --server-side -f -

.PHONY: uninstall
uninstall: $(STAMP) ## remove the CRD, and with it every BigPeer, from the current kubeconfig context
	@$(BIN)/smbpctl crd | kubectl delete --ignore-not-found -f -

.PHONY: controlplane-build
controlplane-build: ## build etcd, kube-apiserver, controller-manager, scheduler and kubectl (cached by key)
	@$(PYTHON) hack/controlplane/build.py

##@ Release

.PHONY: changelog
changelog: $(STAMP) ## show what the next release notes would say
	@$(BIN)/towncrier build --draft

.PHONY: clean
clean: ## remove the virtual environment and every cache in the tree
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .artifacts
	@find src test hack benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +
