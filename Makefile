# `make` or `make help` lists the targets. Everything here needs Go, make and git
# alone: tools are pinned in tools/ and built into bin/, and the control plane
# that the tests and the demo start is fetched or built by hack/controlplane.

# IMAGE_FLAGS are further flags for building the image, such as --build-arg BASE_IMAGE=...
IMAGE_FLAGS ?=
# IMG is the manager's image.
IMG ?= ghcr.io/tokenkeeper/tokenkeeper:latest
# CONTAINER_TOOL builds and pushes the image: docker, podman or nerdctl.
CONTAINER_TOOL ?= docker
# CONFIG is what is installed: config/default, config/hardened, or a folder of yours.
CONFIG ?= config/default
# KUBECTL talks to the cluster that the current kubeconfig names.
KUBECTL ?= kubectl
# VERSION is what is built or released, such as v0.1.0 (default: what git knows).
VERSION ?=
# REGISTRY is where make release pushes image and chart.
REGISTRY ?= ghcr.io/tokenkeeper
# RELEASE_FLAGS are further flags of hack/release (--help lists them).
RELEASE_FLAGS ?=
# KUBERNETES is the version to test against, such as 1.30 or 1.30.14 (default: the one
# that hack/controlplane pins).
KUBERNETES ?=
# PKG are the packages to test, TEST_FLAGS further flags for go test.
PKG ?= ./...
TEST_FLAGS ?=
# ALL is set where all packages are tested, those in modules of their own among them.
ALL = $(filter ./...,$(PKG))
# NPM_PROGRAMS hold programs that the tests start where Node.js is installed: an OAuth
# server, and a client of MCP.
NPM_PROGRAMS := test/oauth/oidcprovider test/consumers/inspector
# RACE turns the race detector on where a C compiler, which it needs, is there;
# RACE= turns it off.
RACE ?= $(if $(filter 1,$(shell go env CGO_ENABLED)),-race)
# VARIANT is the one variant of the model to check and tell (default: all).
VARIANT ?=
# TRACED is how many histories of each kind of provider are played for model-traces
# (default: 400).
TRACED ?=
# HISTORIES is how many random histories fuzz-rotation plays, SEED where it begins
# (default: anywhere).
HISTORIES ?= 100000
SEED ?=
# FUZZTIME is how long each fuzz target runs, FUZZ a pattern of those to run
# (default: all).
FUZZTIME ?= 30s
FUZZ ?=
# DEMO_FLAGS go to the demo (--once: end by itself), RUN_FLAGS to the manager.
DEMO_FLAGS ?=
RUN_FLAGS ?=
# E2E_KUBECONFIG is a cluster for the end-to-end tests (default: a node on this machine),
# E2E_FLAGS further flags for go test: -short for the quick part, -run, -v.
E2E_KUBECONFIG ?=
E2E_FLAGS ?= -v
# BENCH are the scenarios to measure (default: all), BENCH_FLAGS further flags
# (--help lists both).
BENCH ?=
BENCH_FLAGS ?=

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# TEST_MODULES are tests that need libraries which are no part of the operator's module;
# LINT_MODULES are all such modules. test/e2e needs a cluster: `make e2e`.
TEST_MODULES := hack/image hack/release test/alerts test/chart test/consumers test/gitops test/oauth
LINT_MODULES := $(TEST_MODULES) test/e2e

BIN := $(CURDIR)/bin
CONTROLLER_GEN := $(BIN)/controller-gen
KUSTOMIZE := $(BIN)/kustomize
CRD_REF_DOCS := $(BIN)/crd-ref-docs
GOLANGCI_LINT := $(BIN)/golangci-lint
GOVULNCHECK := $(BIN)/govulncheck

# says-version has a program say VERSION, where one is given.
says-version = $(if $(VERSION),-ldflags "-X github.com/tokenkeeper/tokenkeeper/internal/version.release=$(VERSION)")

# with-control-plane begins a recipe line that needs etcd and kube-apiserver.
with-control-plane = assets="$$(go run ./hack/controlplane $(KUBERNETES))"; export KUBEBUILDER_ASSETS="$$assets";

##@ Start here

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN {FS = ":.*## "; printf "Usage: make <target> [VARIABLE=value]\n"} \
		/^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: build ## Watch tokens rotate on this machine: a control plane, a provider simulator, the operator.
	@$(with-control-plane) go build -o bin/demo ./hack/demo; exec bin/demo --manager bin/manager $(DEMO_FLAGS)

.PHONY: test
test: $(if $(ALL),npm-programs) ## Run all tests, those against a real API server among them; KUBERNETES=1.30 for another version of it.
	@$(with-control-plane) go test $(RACE) -timeout 10m $(TEST_FLAGS) $(PKG)$(if $(ALL),; \
		for module in $(TEST_MODULES); do go test -C $$module $(RACE) -timeout 10m $(TEST_FLAGS) ./...; done)

.PHONY: npm-programs
npm-programs: ## Fetch the programs from npm that tests run (once, needs npm; without them those are skipped).
	@for folder in $(NPM_PROGRAMS); do \
		if [ $$folder/node_modules/.package-lock.json -nt $$folder/package-lock.json ]; then continue; fi; \
		if ! command -v npm > /dev/null; then echo "There is no npm: the tests that need $$folder are skipped." >&2; continue; fi; \
		echo "Fetching what $$folder needs (a minute) ..." >&2; \
		npm ci --prefix $$folder --ignore-scripts --omit=optional --no-audit --no-fund --fetch-retries=0 > /dev/null || \
		echo "It cannot be fetched: the tests that need it are skipped." >&2; done

##@ While you work

.PHONY: test-unit
test-unit: ## Run the tests that need no API server.
	@go test $(RACE) $(TEST_FLAGS) $$(go list $(PKG) | grep -v /test/)

.PHONY: model
model: ## Check the model of the rotation protocol to the end (needs spin and a C compiler; minutes).
	@test/model/check.sh $(VARIANT)

.PHONY: model-traces
model-traces: ## See whether the model can do what histories of the real reconciler did (needs what `make model` does; minutes).
	@test/model/traces.sh $(TRACED)

.PHONY: fuzz-rotation
fuzz-rotation: ## Play HISTORIES random histories of the rotation protocol, and show that they have teeth (a quarter of an hour).
	@mkdir -p bin; go test -c -o bin/history.test ./test/history
	@cd test/history; HISTORIES=$(HISTORIES) SEED=$(SEED) ../../bin/history.test -test.run '^TestManyHistories$$' -test.timeout 0
	@TEETH=all go test ./test/history -count=1 -run '^(TestTheHistoriesHaveTeeth|TestEveryAnswerOnce)$$' -timeout 0 -v

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME, one after another: executions and corpus of each.
	@FUZZTIME=$(FUZZTIME) FUZZ='$(FUZZ)' hack/fuzz.sh

.PHONY: bench
bench: build ## Measure the operator on this machine, BENCH=name for one scenario (all: over an hour).
	@$(with-control-plane) go build -o bin/simulator ./cmd/simulator; go build -o bin/bench ./test/bench; \
		exec bin/bench $(BENCH_FLAGS) $(BENCH)

.PHONY: node
node: ## Run a Kubernetes of one node on this machine until Ctrl-C: pods run for real (needs root on Linux).
	@go build -o bin/node ./hack/node; exec bin/node up

.PHONY: node-down
node-down: ## End the node that `make node` runs elsewhere, and remove what a killed one left.
	@go build -o bin/node ./hack/node; exec bin/node down

.PHONY: e2e
e2e: ## Test what is shipped on a node of its own or on E2E_KUBECONFIG (all: an hour; E2E_FLAGS=-short: minutes).
	@go build -o bin/node ./hack/node; go test -C test/e2e -c -o $(BIN)/e2e.test .
	@$(if $(E2E_KUBECONFIG),,bin/node run -- )env E2E_KUBECONFIG=$(E2E_KUBECONFIG) \
		sh -c 'cd test/e2e && exec $(BIN)/e2e.test -test.timeout 3h $(patsubst -%,-test.%,$(E2E_FLAGS))'

.PHONY: cover
cover: ## Run all tests and show which lines they reach, by function.
	@$(with-control-plane) go test -timeout 10m -coverpkg=./api/...,./cmd/...,./internal/... -coverprofile=bin/cover.out $(TEST_FLAGS) $(PKG)
	@go tool cover -func=bin/cover.out

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## Format the code.
	@$(GOLANGCI_LINT) fmt

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Check the code: mistakes, import directions, API conventions.
	@$(GOLANGCI_LINT) run --allow-parallel-runners
	@for module in $(LINT_MODULES); do (cd $$module; $(GOLANGCI_LINT) run --allow-parallel-runners); done

.PHONY: lint-fix
lint-fix: $(GOLANGCI_LINT) ## Check the code, and repair what can be repaired.
	@$(GOLANGCI_LINT) run --allow-parallel-runners --fix

.PHONY: verify
verify: $(CONTROLLER_GEN) $(KUSTOMIZE) $(CRD_REF_DOCS) ## Check that generated files, formatting, headers and go.mod are up to date.
	@hack/verify.sh

.PHONY: vulncheck
vulncheck: $(GOVULNCHECK) ## Look for known vulnerabilities in what the code calls, where the database can be reached.
	@hack/vulncheck.sh

.PHONY: generate
generate: $(CONTROLLER_GEN) ## Generate the deep copy functions of the API.
	@$(CONTROLLER_GEN) object:headerFile=hack/boilerplate.go.txt paths=./api/...

.PHONY: manifests
manifests: $(CONTROLLER_GEN) ## Generate the CRDs and the manager's role from the markers in the code.
	@$(CONTROLLER_GEN) crd rbac:roleName=manager-role paths=./... output:crd:artifacts:config=config/crd/bases

.PHONY: api-docs
api-docs: $(CRD_REF_DOCS) ## Generate docs/api.md from the types.
	@$(CRD_REF_DOCS) --log-level=ERROR --source-path=api/v1alpha1 --config=hack/apidocs/config.yaml --renderer=markdown --output-path=docs/api.md

.PHONY: reliability-docs
reliability-docs: ## Generate docs/reliability.md and docs/security.md from the lists of faults and attacks and the tests.
	@mkdir -p $(BIN); for page in reliability security; do \
		go run ./hack/reliability $$page > $(BIN)/$$page.md; mv $(BIN)/$$page.md docs/$$page.md; done

.PHONY: cli-docs
cli-docs: ## Generate docs/cli from the commands of the kubectl plugin.
	@go run ./hack/clidocs

.PHONY: chart
chart: ## Bring the Helm chart up to date with config/ and values.yaml.
	@go run ./hack/chart

.PHONY: provider-docs
provider-docs: ## Generate docs/providers from the built-in providers.
	@go run ./hack/providers

.PHONY: control-plane
control-plane: ## Fetch or build etcd, kube-apiserver and kubectl, and print where they are.
	@go run ./hack/controlplane $(KUBERNETES)

##@ Build

.PHONY: build
build: ## Build the manager: bin/manager.
	@go build $(says-version) -o bin/manager ./cmd

.PHONY: plugin
plugin: ## Build the kubectl plugin: bin/kubectl-tokencredential. Put it on the PATH.
	@go build $(says-version) -o bin/kubectl-tokencredential ./cmd/kubectl-tokencredential

.PHONY: run
run: ## Run the manager here, against the cluster of the current kubeconfig.
	@go run ./cmd $(RUN_FLAGS)

.PHONY: image
image: ## Build the manager's image, IMG.
	$(CONTAINER_TOOL) build --tag $(IMG) $(if $(VERSION),--build-arg VERSION=$(VERSION)) $(IMAGE_FLAGS) .

.PHONY: image-archive
image-archive: ## Build the manager's image without a container engine, as an OCI layout: dist/image.
	@go run -C hack/image . --source=$(CURDIR) --output=$(CURDIR)/dist/image --version='$(VERSION)'

.PHONY: image-push
image-push: ## Push the manager's image, IMG.
	$(CONTAINER_TOOL) push $(IMG)

.PHONY: render
render: $(KUSTOMIZE) ## Print what CONFIG installs, with the image IMG.
	@$(manifests-with-image)

.PHONY: build-installer
build-installer: $(KUSTOMIZE) ## Write dist/install.yaml, which installs everything with one kubectl apply.
	@mkdir -p dist
	@$(manifests-with-image) > dist/install.yaml

.PHONY: release-dry-run
release-dry-run: ## Make all that the release VERSION consists of in bin/release/VERSION, check it, and publish nothing.
	@go run -C hack/release . --version '$(VERSION)' $(RELEASE_FLAGS)

.PHONY: release
release: ## The same from a clean checkout that is tagged VERSION, and push image and chart to REGISTRY.
	@go run -C hack/release . --version '$(VERSION)' --final --push '$(REGISTRY)' $(RELEASE_FLAGS)

##@ Cluster of the current kubeconfig

.PHONY: install
install: $(KUSTOMIZE) ## Install the CRDs alone.
	@$(KUSTOMIZE) build config/crd | $(KUBECTL) apply --server-side -f -

.PHONY: uninstall
uninstall: $(KUSTOMIZE) ## Remove the CRDs, and with them every TokenCredential.
	@$(KUSTOMIZE) build config/crd | $(KUBECTL) delete --ignore-not-found -f -

.PHONY: deploy
deploy: $(KUSTOMIZE) ## Install what CONFIG says, with the image IMG.
	@$(manifests-with-image) | $(KUBECTL) apply --server-side -f -

.PHONY: undeploy
undeploy: $(KUSTOMIZE) ## Remove the manager and the CRDs, and with them every TokenCredential.
	@$(KUSTOMIZE) build $(CONFIG) | $(KUBECTL) delete --ignore-not-found -f -

# manifests-with-image prints CONFIG with the image IMG. The image is set in a folder
# of its own, so that no tracked file changes.
define manifests-with-image
	mkdir -p bin/install; \
	printf 'resources:\n- ../../$(CONFIG)\n' > bin/install/kustomization.yaml; \
	(cd bin/install; $(KUSTOMIZE) edit set image ghcr.io/tokenkeeper/tokenkeeper=$(IMG)); \
	$(KUSTOMIZE) build bin/install
endef

# Tools. Each is built once, and again when its pin changes.

$(CONTROLLER_GEN): tools/go.mod tools/go.sum
	@echo "Building controller-gen (half a minute the first time) ..." >&2
	@go build -C tools -o $@ sigs.k8s.io/controller-tools/cmd/controller-gen
	@touch $@

$(CRD_REF_DOCS): tools/go.mod tools/go.sum
	@echo "Building crd-ref-docs (half a minute the first time) ..." >&2
	@go build -C tools -o $@ github.com/elastic/crd-ref-docs
	@touch $@

$(KUSTOMIZE): tools/go.mod tools/go.sum
	@echo "Building kustomize (half a minute the first time) ..." >&2
	@go build -C tools -o $@ sigs.k8s.io/kustomize/kustomize/v5
	@touch $@

$(GOVULNCHECK): tools/govulncheck/go.mod tools/govulncheck/go.sum
	@echo "Building govulncheck (some seconds the first time) ..." >&2
	@go build -C tools/govulncheck -o $@ golang.org/x/vuln/cmd/govulncheck
	@touch $@

$(GOLANGCI_LINT): tools/golangci-lint/go.mod tools/golangci-lint/go.sum tools/golangci-lint/main.go
	@echo "Building golangci-lint (two minutes the first time) ..." >&2
	@go build -C tools/golangci-lint -o $@ .
	@touch $@
