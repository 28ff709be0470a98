# The targets a person needs; CI calls `make test`.
GO ?= go
CONFORMANCE = build/bin/conformance

.DEFAULT_GOAL := help
.PHONY: help conformance test test-all generate check images faults staging signoff certs soak bench clean FORCE

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# go run would turn every exit status into 1.
$(CONFORMANCE): FORCE
	@$(GO) build -trimpath -ldflags "-s -w" -o $@ ./harness/cmd/conformance
FORCE:

conformance: $(CONFORMANCE) ## the main job: start a stack, judge every expectation, write build/signoff
	$(CONFORMANCE) run --runtime auto

test: ## the tests, of what takes long a sample; images are pulled or built first where an engine answers
	./.ci/test

test-all: ## every test and every fault, in half an hour: before something large lands, and nightly
	./.ci/test --all

generate: $(CONFORMANCE) ## write what is made of the catalogue: CATALOGUE.md, the score, the sample sign-off
	./.ci/generate

check: ## formatting, vet, golangci-lint, and go.mod as it should be
	@test -z "$$(gofmt -s -l certs fixtures harness suites)" || { gofmt -s -l certs fixtures harness suites; echo "make check: gofmt -s -w these"; exit 1; }
	$(GO) vet ./...
	$(GO) mod tidy -diff
	$(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0 run ./...

images: $(CONFORMANCE) ## have every container image: pulled by digest, else built with no registry
	$(CONFORMANCE) images --pull --build

faults: $(CONFORMANCE) ## plant every seeded fault, and see each of them caught
	$(CONFORMANCE) faults

staging: $(CONFORMANCE) ## hold the deployment that staging.yaml describes against the runbook
	@test -f staging.yaml || { echo "make staging: there is no staging.yaml: $(CONFORMANCE) init writes one to fill in" >&2; exit 2; }
	$(CONFORMANCE) plan --config staging.yaml
	$(CONFORMANCE) run --config staging.yaml

signoff: ## print the last sign-off
	@cat build/signoff/signoff.md 2>/dev/null || { echo "make signoff: there is none yet: make conformance writes one" >&2; exit 2; }

certs: $(CONFORMANCE) ## write an authority and a client certificate per persona to build/certs
	$(CONFORMANCE) certs --out build/certs

soak: $(CONFORMANCE) ## a hundred embedded runs: every one must give the same verdicts
	$(CONFORMANCE) soak --runs 100

bench: ## measure a run and a start, embedded and in containers
	$(GO) test ./suites -run '^$$' -bench . -benchtime 3x

clean: $(CONFORMANCE) ## remove build/, and what killed runs left at the engine
	$(CONFORMANCE) sweep
	rm -rf build
