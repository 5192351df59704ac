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
IMAGE_LOCK := requirements.image.lock
PEERS := benchmarks/peers
NODES ?= 3
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
	@$(MAKE) --no-print-directory -j 2 --output-sync=target mypy pyright imports

.PHONY: mypy pyright imports
mypy pyright: $(STAMP)
	@$(BIN)/$@

imports: $(STAMP)
	@$(BIN)/lint-imports

.PHONY: check
check: lint verify unit ## everything that needs no cluster and ends within two minutes

.PHONY: unit
unit: $(STAMP) ## unit, architecture and golden tests
	@$(BIN)/python -m pytest -q -n 2 --dist worksteal test/unit test/hack test/architecture

.PHONY: property
property: $(STAMP) ## Hypothesis property tests
	@$(BIN)/python -m pytest -q test/property

.PHONY: controlplane
controlplane: $(STAMP) ## tests against a real etcd, kube-apiserver, controller-manager and scheduler
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile -m "not quiet" test/controlplane
	@$(BIN)/python -m pytest -q -m quiet test/controlplane

.PHONY: e2e
e2e: $(STAMP) ## tests on a cluster with real nodes (Linux, root, Go); skipped with a word where it cannot run
	@test "$(CI)" != true || $(MAKE) --no-print-directory cluster-tools
	@$(BIN)/python -m pytest -q test/e2e

.PHONY: test
test: check property controlplane e2e ## everything CI runs

.PHONY: bench
bench: $(STAMP) ## performance beside that of peers, as ratios of one interleaved run; writes the page
	@$(BIN)/python -m benchmarks --json benchmarks/results
	@$(BIN)/python -m benchmarks.page

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
	@$(BIN)/uv pip compile --quiet --python-version 3.13 --python-platform x86_64-manylinux_2_28 \
		--generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links --extra uvloop \
		--constraint $(LOCK) --custom-compile-command "make lock" \
		pyproject.toml --output-file $(IMAGE_LOCK) $(ARGS)
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		$(PEERS)/requirements.in --output-file $(PEERS)/requirements.lock $(ARGS)

##@ Cluster

.PHONY: install
install: $(STAMP) ## put the CRD into the current kubeconfig context
	@$(BIN)/smbpctl crd | kubectl apply --server-side -f -

.PHONY: uninstall
uninstall: $(STAMP) ## remove the CRD, and with it every BigPeer, from the current kubeconfig context
	@$(BIN)/smbpctl crd | kubectl delete --ignore-not-found -f -

.PHONY: deploy
deploy: ## put CRD and operator (IMG=registry/name:tag) into the current context (SET="SMBPCTL_X=y", ARGS)
	@$(PYTHON) hack/deploy.py up --image "$(IMG)" $(foreach each,$(SET),--set "$(each)") $(ARGS)

.PHONY: undeploy
undeploy: ## remove operator and CRD from the current context (FORCE=1 deletes every BigPeer first)
	@$(PYTHON) hack/deploy.py down $(if $(filter 1,$(FORCE)),--force) $(ARGS)

##@ Local cluster (Linux, root; its programs and images are built once)

.PHONY: cluster-tools
cluster-tools: $(STAMP) ## install the Debian packages that a local cluster needs (as root)
	@$(BIN)/python -m hack.cluster.tools

.PHONY: cluster-up
cluster-up: $(STAMP) ## start a Kubernetes cluster of real nodes on this machine (NODES=3)
	@$(BIN)/python -m hack.cluster up --nodes $(NODES)

.PHONY: cluster-down
cluster-down: $(STAMP) ## end that cluster and leave nothing of it
	@$(BIN)/python -m hack.cluster down

.PHONY: cluster-shell
cluster-shell: $(STAMP) ## a shell inside that cluster (NODE=node1: on a node)
	@$(BIN)/python -m hack.cluster shell $(if $(NODE),--node $(NODE))

.PHONY: cluster-build
cluster-build: ## build kubelet, containerd, CoreDNS and the rest of a node (cached by key)
	@$(PYTHON) -m hack.cluster.build

.PHONY: images
images: $(STAMP) ## build the images of operator and fake operand without a container engine (cached by key)
	@$(BIN)/python -m hack.images

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
