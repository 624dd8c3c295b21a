# Everything here needs only Go and make, unless a line says otherwise. If a machine
# lacks something, the step is skipped with a notice; in CI it fails.

GO ?= go

# The bundled engines are built with one version of Go, so that everybody gets the
# same bytes. The go command fetches it if another is installed.
ENGINE_GO := go1.26.8
ENGINES   := memory keyfolder dynfile

# The modules. Those beside the root have dependencies that must not reach an importer.
MODULES := . examples host/bench host/otel host/cmd/waddle/internal/playground/browsertest guest/engines/internal/fusetest .ci/tools

# The modules that others import, each with its own tags.
PUBLISHED := . host/otel

# The tools that check the code are in a module beside the root, in one version for
# everybody.
TOOLS := $(CURDIR)/.ci/tools/go.mod

# The race detector needs a C compiler, except on macOS.
RACE := $(shell $(GO) env CGO_ENABLED | grep -q 1 && (command -v $$($(GO) env CC) >/dev/null 2>&1 || test "$$($(GO) env GOOS)" = darwin) && echo -race)

# Tests in raced packages that compile large modules. The race detector makes
# wazero's compiler, which has one goroutine here, six times slower.
COMPILE := ^(TestHostile|TestGuestBuiltWithGo|TestTraceOfAGuestBuiltWithGo|TestInstanceSizeIsCounted|TestEndlessEnumeration|TestCallsAtTheSameTime|TestRecordsThatLieElsewhere)$$

.PHONY: help run test vet lint vuln apidiff cross arm64 windows bench fuzz search engines verify-engines fixtures verify-fixtures \
        mutants verify-mutants guests verify-guests templates

help:
	@echo 'make run             serves the playground on http://127.0.0.1:8080'
	@echo 'make test            runs all tests, with the race detector where it can run; some need Linux and root,'
	@echo '                     one of them FUSE; WADDLE_CRASHES=12 makes servers crash more often'
	@echo 'make bench           compares with other libraries; prints a table, writes host/bench/results.json'
	@echo 'make fuzz            runs each fuzz target for FUZZTIME (default 20s)'
	@echo 'make search          searches for modules that compile slowly, for SEARCHTIME (default 1h)'
	@echo 'make vet lint cross  runs go vet and gofmt; staticcheck; go vet for all platforms'
	@echo 'make vuln apidiff    finds known vulnerabilities that are called; compares the Go API with the last tag'
	@echo 'make arm64 windows   runs some tests on an emulated arm64 (needs qemu-user) and Windows (needs wine64)'
	@echo 'make engines         rebuilds the bundled engines'
	@echo 'make verify-engines  fails if the committed engines are not what the sources build'
	@echo 'make guests          rebuilds the example guests, in each language whose toolchain is installed'
	@echo 'make fixtures        rebuilds the test guests from their text (needs wat2wasm)'
	@echo 'make mutants         rebuilds the faulty guests that test the conformance suite (needs clang-19, lld-19)'
	@echo '                     make verify-guests, verify-fixtures and verify-mutants build and compare'
	@echo 'make templates       repacks the example guests for "waddle new"'

# "go run" would end with an error when its program is interrupted. Ctrl-C goes to
# every process in a terminal's foreground and would end make with an error status,
# so the playground gets the foreground to itself (set -m), if there is one. Ctrl-Z
# is ignored, since nobody would notice that it had stopped the playground.
run:
	@echo 'building waddle, which takes about a minute the first time'
	@$(GO) build -o bin/ ./host/cmd/waddle
	@case "$$(ps -o stat= -p $$$$ 2>/dev/null)" in \
	  *+*) trap '' TSTP; set -m 2>/dev/null; bin/waddle run;; \
	  *) exec bin/waddle run;; \
	esac

# Packages whose tests leave the work to other programs, or to engines and guests
# that run in one thread. The race detector costs minutes there and finds nothing.
UNRACED := /guest$$|/storetest$$|/plugintest$$|/guest/engines/|/host/cmd/waddle$$|/host/cmd/waddle/internal/(inspect|loadtest|project)|/host/engines$$|/host/internal/e2e$$|/host/bench|/browsertest|/examples/(guests|multitenant)|^tools$$

test:
ifeq ($(RACE),)
	@echo 'SKIPPED: the race detector, which needs a C compiler'
endif
	@# Some tests build programs, which the test cache does not track.
	@set -e; for module in $(MODULES); do ( \
	  cd $$module; all=$$($(GO) list ./...); \
	  raced=$$(echo "$$all" | grep -vE '$(UNRACED)' || true); rest=$$(echo "$$all" | grep -E '$(UNRACED)' || true); \
	  if [ -n "$$raced" ]; then echo "== $$module, with the race detector"; $(GO) test -timeout 30m $(RACE) -skip '$(COMPILE)' $$raced; fi; \
	  if [ -n "$$rest" ]; then echo "== $$module, tests in one thread or in other programs"; $(GO) test -timeout 30m -count=1 $$rest; fi; \
	); done
	@echo '== tests that compile large modules'
	@$(GO) test -timeout 30m -run '$(COMPILE)' ./host/plugin
	@echo '== the suite over the native store, with the race detector'
	@$(GO) test $(RACE) -run '^TestMemory$$' ./host/storetest
	@echo '== guest, as authors build it for development'
	@$(GO) test -short -tags waddle_debug ./guest

# $(1) packages, $(2) flags. Vets them for the system that GOOS names, without their
# tests, which do not build for every system that the packages build for.
define vet-sources
$(GO) list $(2) -f '{{$$d := .Dir}}{{range .GoFiles}}{{$$d}}/{{.}} {{end}}' $(1) | \
  while read -r files; do $(GO) vet $(2) $$files || exit 1; done
endef

vet:
	@files=$$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -l); \
	if [ -n "$$files" ]; then echo "gofmt would change:"; echo "$$files"; exit 1; fi
	@set -e; for module in $(MODULES); do echo "== vet $$module"; (cd $$module && $(GO) vet ./...); done
	@# Guests are built for wasip1, and with a tag for development.
	@set -e; export GOOS=wasip1 GOARCH=wasm; \
	echo '== vet the sources of guests'; $(call vet-sources,./abi $(GUESTS)); \
	$(call vet-sources,./guest,-tags waddle_debug); \
	(cd examples; $(call vet-sources,$(EXAMPLE_GUESTS)))
	$(GO) vet -tags waddle_debug ./guest
	GOOS=wasip1 GOARCH=wasm $(GO) build -o /dev/null ./guest/...

# The packages of guest/ and examples/ that are compiled to WebAssembly. The rest is
# for tests and runs on the tests' systems.
GUESTS         := ./guest ./guest/engines/memory ./guest/engines/keyfolder/... ./guest/engines/dynfile/...
EXAMPLE_GUESTS := ./custom/store ./guests/go

bin/tools/staticcheck: .ci/tools/go.mod .ci/tools/go.sum
	@$(GO) build -modfile=$(TOOLS) -o $@ honnef.co/go/tools/cmd/staticcheck

lint: bin/tools/staticcheck
	@set -e; for module in $(MODULES); do echo "== staticcheck $$module"; \
	  (cd $$module && $(CURDIR)/bin/tools/staticcheck ./...); done
	@# staticcheck does not know go:wasmexport and takes code reached from there for unused (U1000).
	GOOS=wasip1 GOARCH=wasm bin/tools/staticcheck -tests=false -checks inherit,-U1000 ./abi $(GUESTS)
	cd examples && GOOS=wasip1 GOARCH=wasm $(CURDIR)/bin/tools/staticcheck -tests=false -checks inherit,-U1000 $(EXAMPLE_GUESTS)
	GOOS=wasip1 GOARCH=wasm bin/tools/staticcheck -tests=false -checks inherit,-U1000 -tags waddle_debug ./guest
	bin/tools/staticcheck -tags waddle_debug ./guest

vuln:
	@GO='$(GO)' .ci/vuln $(PUBLISHED)

apidiff:
	@GO='$(GO)' .ci/apidiff

cross:
	@set -e; for os in linux darwin windows; do for arch in amd64 arm64; do \
	  echo "== $$os/$$arch"; GOOS=$$os GOARCH=$$arch CGO_ENABLED=0 $(GO) vet ./...; \
	done; done

arm64:
	@GO='$(GO)' .ci/arm64

windows:
	@GO='$(GO)' .ci/windows

bench:
	@cd host/bench && $(GO) run . -json results.json

FUZZTIME ?= 20s
fuzz:
	@set -e; $(GO) list ./... | while read -r package; do \
	  $(GO) test -list '^Fuzz' $$package | grep '^Fuzz' | while read -r target; do \
	    echo "== $$package $$target"; $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package; \
	  done; \
	done

# Prints the worst module found, and fails if it exceeds the bound.
SEARCHTIME ?= 1h
search:
	WADDLE_SEARCH=$(SEARCHTIME) $(GO) test -v -run '^TestSearchCompileCosts$$' -timeout 24h ./host/plugin

# $(1) engine, $(2) output file
define build-engine
GOTOOLCHAIN=$(ENGINE_GO) GOOS=wasip1 GOARCH=wasm GOFLAGS= GOWORK=off CGO_ENABLED=0 GOWASM= \
  $(GO) build -buildmode=c-shared -trimpath -buildvcs=false -ldflags='-s -w -buildid=' -o $(2) ./guest/engines/$(1)
endef

engines:
	@set -e; for engine in $(ENGINES); do \
	  $(call build-engine,$$engine,host/engines/$$engine/$$engine.wasm); \
	  $(GO) run ./host/engines/internal/pack host/engines/$$engine/$$engine.wasm; \
	  ls -l host/engines/$$engine/$$engine.wasm.gz; \
	done

verify-engines:
	@set -e; dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; for engine in $(ENGINES); do \
	  $(call build-engine,$$engine,$$dir/$$engine.wasm); \
	  $(GO) run ./host/engines/internal/pack -verify host/engines/$$engine/$$engine.wasm.gz $$dir/$$engine.wasm; \
	done

# $(1) source, $(2) output file. Some sources name the flags they need in their first line.
define build-fixture
wat2wasm $$(sed -n '1s/^;; wat2wasm: //p' $(1)) $(1) -o $(2)
endef

fixtures:
	@set -e; git ls-files -co --exclude-standard '*.wat' | while read -r wat; do \
	  $(call build-fixture,"$$wat","$${wat%.wat}.wasm"); \
	done

verify-fixtures:
	@set -e; out=$$(mktemp); trap 'rm -f "$$out"' EXIT; git ls-files '*.wat' | while read -r wat; do \
	  $(call build-fixture,"$$wat","$$out"); \
	  cmp "$$out" "$${wat%.wat}.wasm" || { echo "$$wat: run 'make fixtures' and commit the result"; exit 1; }; \
	done; echo "every committed test guest is what its text builds"

MUTANTS := host/storetest/plugintest/testdata/mutants
mutants:
	@rm -f $(MUTANTS)/wasm/*.wasm; $(MUTANTS)/build.sh $(MUTANTS)/wasm

verify-mutants:
	@command -v clang-19 >/dev/null && command -v wasm-ld-19 >/dev/null || \
	  { echo 'SKIPPED: the mutants, which need clang-19 and lld-19'; test "$$CI" != true; exit; }; \
	set -e; dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; $(MUTANTS)/build.sh "$$dir"; \
	diff -r "$$dir" $(MUTANTS)/wasm || { echo "run 'make mutants' and commit the result"; exit 1; }; \
	echo 'every committed mutant is what its source builds'

guests:
	@examples/guests/build.sh
	@$(MAKE) --no-print-directory templates

verify-guests:
	@examples/guests/build.sh -verify
	@$(GO) run ./host/cmd/waddle/internal/project/pack -verify

templates:
	@$(GO) run ./host/cmd/waddle/internal/project/pack
