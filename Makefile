# Everything a developer does with this repository. `make help` lists it.

GO       ?= go
FUZZTIME ?= 15s
SOAK     ?= soak
BUF       = $(GO) tool -modfile=tools/go.mod buf
LINT      = $(GO) tool -modfile=tools/lint/go.mod golangci-lint

.DEFAULT_GOAL := help
.PHONY: help build demo test acceptance check bench defects soak fmt-check vet lint generate generated race fuzz test-386 web web-check web-test web-shots clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build the statehouse binary into bin/, without cgo.
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/statehouse ./cmd/statehouse

demo: build ## Play a recorded house into a fresh daemon over MQTT and watch it live.
	@bin/statehouse demo --recording testdata/zigbee2mqtt/house.jsonl.gz

test: ## Run all tests; needs Go and nothing else.
	CGO_ENABLED=0 $(GO) test ./...
	cd bench && CGO_ENABLED=0 $(GO) test ./...

acceptance: ## Run others' programs, unchanged, against this one: Mosquitto, Zigbee2MQTT, Home Assistant's client; says what it needs.
	ACCEPTANCE_REQUIRED=1 $(GO) test -tags acceptance -run Acceptance -count=1 -timeout 30m -v ./internal/acceptance
	$(GO) test -tags acceptance -run Acceptance -count=1 -v ./internal/hass

bench: ## Measure everything beside its peers and write bench/RESULTS.md; takes minutes, and wants a quiet machine.
	cd bench && $(GO) run . -results RESULTS.md

defects: ## Test the tests: each deliberate defect of internal/defect has to be found.
	$(GO) run ./internal/faults/defects

soak: ## Prove for HOURS=n what docs/reliability.md promises; goes on where it was, in SOAK (soak/).
	@test -n "$(HOURS)" || { echo "how many hours? make soak HOURS=8"; exit 1; }
	$(GO) run ./internal/faults/soak -hours $(HOURS) -dir $(SOAK)

check: fmt-check vet lint generated test defects race fuzz ## Everything that has to be green before a commit; race needs a C compiler.

fmt-check: ## Fail if gofmt would change a file.
	@files=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	if [ -n "$$files" ]; then echo "gofmt would change:"; echo "$$files"; exit 1; fi

vet: ## Run go vet.
	$(GO) vet ./...
	cd bench && $(GO) vet ./...

lint: ## Run golangci-lint, in the version that tools/lint/go.mod pins.
	$(LINT) run ./...
	cd bench && $(GO) tool -modfile=../tools/lint/go.mod golangci-lint run ./...

generate: ## Regenerate gen/ from proto/ with the buf that tools/go.mod pins.
	$(BUF) generate

generated: ## Fail if proto/ does not lint or gen/ is not what it generates.
	$(BUF) lint
	@before=$$(mktemp -d) && cp -R gen "$$before/gen" && $(BUF) generate && \
	diff -r "$$before/gen" gen; result=$$?; rm -rf "$$before"; \
	if [ $$result -ne 0 ]; then echo "gen/ was not up to date; it is now: commit it"; exit 1; fi

race: ## Run the tests with the race detector, the longest ones shortened.
	@# Without it each of the hundreds of processes that the scripts run sleeps for a second at its end.
	GORACE=atexit_sleep_ms=20 CGO_ENABLED=1 $(GO) test -race -short ./...

test-386: ## Run the tests as a 32-bit program, the longest ones shortened.
	CGO_ENABLED=0 GOARCH=386 $(GO) test -short ./...

fuzz: ## Run every fuzz target for FUZZTIME (15s), two at a time.
	@GO=$(GO) scripts/fuzz.sh $(FUZZTIME)

web: ## Build the page of web/ into internal/web/dist, which is committed; needs Node 20 and npm.
	cd web && npm ci --silent
	$(BUF) generate --template web/buf.gen.yaml
	cd web && npm run --silent types && npm run --silent build

web-check: ## Fail if what is committed of the page is not what web/ builds.
	@before=$$(mktemp -d) && cp -R internal/web/dist web/src/gen "$$before" && $(MAKE) --no-print-directory web && \
	diff -rq "$$before/dist" internal/web/dist && diff -rq "$$before/gen" web/src/gen; result=$$?; rm -rf "$$before"; \
	if [ $$result -ne 0 ]; then echo "the page was not up to date; it is now: commit it"; exit 1; fi

web-test: build ## Try the page in a real browser, on the recorded house; needs Chromium (or CHROMIUM=path), Node 20 and npm.
	cd web && npm ci --silent && npm run --silent test

web-shots: build ## The same for the pictures of docs/page.md, which it writes anew.
	cd web && npm ci --silent && npm run --silent shots

clean: ## Remove what was built.
	rm -rf bin dist
