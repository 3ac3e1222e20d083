# What a developer runs. It needs go (1.26), make and git, and nothing else.

GO       ?= go
BIN      := bin/hanse
FUZZTIME ?= 20s
TOOL     := $(GO) tool -modfile=tools/go.mod

# Packages that link Kubernetes' API server take half a minute to link, and more
# with the race detector: they are driven as the built binary instead.
SERVER   := k8s.io/kubernetes/cmd/kube-apiserver/app
LINKED    = $(shell $(GO) list -f '{{$$p := .ImportPath}}{{range .Deps}}{{if eq . "$(SERVER)"}}{{$$p}}{{end}}{{end}}' ./...)
LIGHT     = $(filter-out $(LINKED) %/test/scripts %/test/e2e %/test/attack,$(shell $(GO) list ./...))
# One setting for everything that is compiled: Kubernetes is compiled once, not
# once for each. Only the race detector needs cgo, and that a C compiler.
export CGO_ENABLED = 0
RACE      = $(if $(shell command -v $(CC)),CGO_ENABLED=1 $(GO) test -race,$(GO) test)

.PHONY: help
help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: go
go:
	@$(GO) version >/dev/null 2>&1 || { echo "There is no go. Try: https://go.dev/dl, version 1.26 or later"; exit 1; }
	@$(GO) list -m >/dev/null || { echo "This go is too old, or cannot fetch a newer one by itself. Try: https://go.dev/dl, version 1.26 or later"; exit 1; }

.PHONY: build
build: go ## build bin/hanse
	$(GO) build -ldflags='-s -w' -o $(BIN) .

.PHONY: demo
demo: build ## a hub and three local clusters with an application on them, until Ctrl-C
	$(BIN) demo

.PHONY: test
test: lint unit end-to-end ## everything: lint, unit tests, and the built binary against real clusters

.PHONY: unit
unit: go ## tests that start no API server, with the race detector where there is a C compiler
	$(RACE) -timeout 15m $(LIGHT)

.PHONY: end-to-end
end-to-end: build ## tests that start real hubs and clusters
	HANSE_BIN=$(CURDIR)/$(BIN) $(GO) test -count=1 -p 1 -timeout 35m $(LINKED) $(wildcard ./test/scripts ./test/e2e ./test/attack)

.PHONY: breach
breach: go ## test/attack against a hanse without the defences: all of it has to fail
	$(GO) run ./test/breach

.PHONY: lint
lint: go ## gofmt, go vet, staticcheck, the API's conventions, known vulnerabilities
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "Not formatted. Try: gofmt -w on"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(TOOL) staticcheck ./...
	cd tools && $(GO) vet ./... && $(GO) test ./... && $(GO) run ./apilint -C .. ./api/v1alpha1 && $(GO) run ./vulncheck -C .. ./...

.PHONY: vulnerabilities
vulnerabilities: go ## write the tree's copy of Go's vulnerability database again
	cd tools && $(GO) run ./vulncheck -C .. -refresh

# A release is built with this version of Go, whichever is installed, and has neither the paths nor the time of its making.
RELEASE_GO := go1.26.11
PLATFORMS  ?= linux/amd64 linux/arm64

.PHONY: release
release: go ## build dist/ for PLATFORMS, with SBOMs and checksums, twice, and compare
	GO='$(GO)' GOTOOLCHAIN=$(RELEASE_GO) ./tools/release.sh $(PLATFORMS)

.PHONY: generate
generate: go ## write api/v1alpha1's deep copies and CustomResourceDefinitions again
	cd api/v1alpha1 && $(GO) tool -modfile=../../tools/go.mod controller-gen object crd paths=. output:crd:dir=crds

.PHONY: geo
geo: go ## write the embedded country database again from MMDB=FILE, described by ABOUT=LINE
	$(GO) run ./internal/dns/geo/generate -about '$(ABOUT)' -o internal/dns/geo/country.bin '$(MMDB)'

.PHONY: fuzz
fuzz: go ## run every fuzz test for FUZZTIME (20s)
	@for package in $(LIGHT); do \
		for test in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "$$package $$test"; \
			$(GO) test -run '^$$' -fuzz "^$$test\$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
		done; \
	done

.PHONY: bench
bench: build ## measure propagation against direct writes; prints a table and JSON
	$(GO) run ./test/bench -hanse $(CURDIR)/$(BIN)

HISTORIES ?= 100
STEPS     ?= 200
SEED      ?= 1

.PHONY: sim
sim: go ## HISTORIES (100) random histories of STEPS (200) from SEED (1), in virtual time
	$(GO) test -count=1 -timeout 0 -run TestHistories -v ./test/sim -args -histories $(HISTORIES) -steps $(STEPS) -seed $(SEED) \
		$(if $(filter 1,$(HISTORIES)),-replay)

.PHONY: clean
clean: ## remove what was built
	rm -rf bin
