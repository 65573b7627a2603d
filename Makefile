# Oriel. `make` explains itself; CI runs `make lint test` (.ci/run).

ifndef VERSION
VERSION := $(shell .ci/version)
endif

# One set of flags for everything, so that all steps share one build cache.
# x11: robotgo without cgo. readonly: a build never changes go.mod.
export GOFLAGS := $(strip $(GOFLAGS) -mod=readonly -buildvcs=false -trimpath -tags=x11)
# The libaom that .ci/aom built, if it did: asked by each recipe, as setup may have just built it.
export CGO_CFLAGS ?= -O2 -g $(shell .ci/aom cflags)
export CGO_LDFLAGS ?= -O2 -g $(shell .ci/aom ldflags)
LDFLAGS := -s -w -X main.version=$(VERSION)

.NOTPARALLEL:

.PHONY: help
help: ## say what there is (this)
	@echo 'Oriel: see and use your computers from a browser.' && echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'
	@echo && echo 'Missing packages are installed as they are needed, and named.'

.PHONY: run
run: setup-run binaries ## relay, two demo computers and three people on this machine, until Ctrl-C
	@node .ci/try.mjs

.PHONY: test
test: setup-test binaries ## every test: Go with -race, console, fuzzers, end to end in Chromium and Firefox
	@.ci/test

.PHONY: build
build: setup-build binaries ## build/oriel-agent and build/oriel-relay

.PHONY: lint
lint: setup-test ## formatting, vet, staticcheck, protobuf, console, stale generated code, house rules
	@.ci/lint

.PHONY: bench
bench: setup-test binaries ## capture, convert, encode, and what a person at the viewer feels
	@.ci/bench

.PHONY: bench-peers
bench-peers: setup-peers binaries ## the picture, from outside, beside TigerVNC and noVNC; 45 minutes, bad networks as root
	@npm --prefix console run --silent bench-peers

.PHONY: generate
generate: setup-build ## protobuf code, openapi.yaml and the console's client types, anew
	@.ci/generate

.PHONY: dist
dist: setup-build binaries ## dist/: .tar.gz, .deb and .rpm of agent and relay, with their manifest
	CGO_ENABLED=0 go build -ldflags '$(LDFLAGS)' -o build/static/oriel-relay ./relay
	SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct)} go run ./installer/pack \
		-version '$(VERSION)' -agent build/oriel-agent -relay build/static/oriel-relay -out dist

.PHONY: clean
clean: ## remove what was built (node_modules and data stay)
	rm -rf build dist
	cd console && node scripts/clean.mjs

# What the above are made of.

.PHONY: setup-build setup-run setup-test setup-peers
setup-build setup-run setup-test setup-peers:
	@.ci/setup $(@:setup-%=%)

# The Go build cache knows better than make what is up to date.
.PHONY: binaries
binaries: console
	go build -ldflags '$(LDFLAGS)' -o build/oriel-agent ./agent
	go build -ldflags '$(LDFLAGS)' -o build/oriel-relay ./relay

.PHONY: console
console: console/dist/index.html

console/dist/index.html: $(shell find console \( -name node_modules -o -name dist -o -name e2e -o -name paraglide \) -prune -o -type f ! -name '*.test.ts' ! -name '*.go' -print)
	cd console && npm run build
	@touch $@
