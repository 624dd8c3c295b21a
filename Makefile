# Everything here needs only Go and make, unless a line says otherwise. If a machine
# lacks something, the step is skipped with a notice; in CI it fails.

GO ?= go

# The bundled engines are built with one version of Go, so that everybody gets the
# same bytes. The go command fetches it if another is installed.
ENGINE_GO := go1.26.8
ENGINES   := memory keyfolder dynfile redis postgres

# Sessions in web frameworks, and stores for other session libraries: a module for each.
ADAPTERS := $(patsubst %/go.mod,%,$(wildcard host/adapt/*/go.mod))

# The modules. Those beside the root have dependencies that must not reach an importer.
MODULES := . examples $(ADAPTERS) host/bench host/otel host/cmd/waddle/internal/playground/browsertest host/cmd/waddle/internal/serving/openapitest guest/engines/internal/fusetest guest/engines/postgres .ci/tools .docs

# The modules that others import, each with its own tags.
PUBLISHED := . host/otel $(ADAPTERS)

# The tools that check the code are in a module beside the root, in one version for
# everybody.
TOOLS := $(CURDIR)/.ci/tools/go.mod

# The race detector needs a C compiler, except on macOS.
RACE := $(shell $(GO) env CGO_ENABLED | grep -q 1 && (command -v $$($(GO) env CC) >/dev/null 2>&1 || test "$$($(GO) env GOOS)" = darwin) && echo -race)

# What computes in one thread and is compiled without the race detector's instructions
# when the rest has them: wazero's compiler, and what reads and rewrites modules. With
# them the tests of host/plugin would take twice the processor time.
ifneq ($(RACE),)
WAZEVO := github.com/tetratelabs/wazero/internal/engine/wazevo
WADDLE := github.com/waddle-sessions/waddle/host
RACE += $(patsubst %,-gcflags=%=-race=false,$(WAZEVO)/ssa $(WAZEVO)/frontend $(WAZEVO)/backend/... $(WADDLE)/plugin/preflight $(WADDLE)/internal/rewrite/...)
endif

# Tests in raced packages that keep one goroutine busy: they compile large modules, run a
# guest for as long as it may, or decode the largest values. The race detector makes that
# six times slower and has nothing to find.
ONE_THREAD := ^(TestHostile|TestTiring.*|TestGuestBuiltWithGo|TestTraceOfAGuestBuiltWithGo|TestInstanceSizeIsCounted|TestEndlessEnumeration|TestEndlessSnapshot|TestCallsAtTheSameTime|TestRecordsThatLieElsewhere|TestDecodingIsWorthItsLength|TestMemoryOfTheLargestValue|TestSlowCompilesDelayNobody|TestPersist|TestSharedContract|TestSharedGuestsThatKeepTheirExecutors|TestConformance)$$

# How many tests and checks run side by side. Some wait for a disk or for time, so there
# is one more than there are cores. A make that cannot keep their output apart, such as
# that of macOS, runs one at a time.
JOBS ?= $(if $(filter output-sync,$(.FEATURES)),$(shell expr $$(getconf _NPROCESSORS_ONLN) + 1),1)

.PHONY: help run test check built tools vet lint vuln apidiff cross arm64 windows docs pictures bench bench-against allocations fuzz proof search engines verify-engines fixtures verify-fixtures \
        mutants verify-mutants guests verify-guests templates

help:
	@echo 'make run             serves the playground on http://127.0.0.1:8080'
	@echo 'make test            runs all tests, with the race detector where it can run; some need Linux and root,'
	@echo '                     one of them FUSE; WADDLE_CRASHES=12 makes servers crash more often'
	@echo 'make docs            builds the documentation as static pages, in bin/docs; make pictures takes the pictures'
	@echo '                     of the playground and the tenants page in it anew (needs Chromium)'
	@echo 'make bench           compares with other libraries; prints a table, writes host/bench/results.json and results.txt'
	@echo 'make bench-against   compares with the state of the repository that REF names, a tag or commit, in TURNS turns'
	@echo 'make allocations     compares what requests and calls allocate with a table, in seconds; UPDATE=1 writes it'
	@echo 'make fuzz            runs each fuzz target for FUZZTIME (default 20s)'
	@echo 'make proof           compares rewritten modules with what they were, for PROOFTIME (default 10m)'
	@echo 'make search          searches for modules that compile slowly, for SEARCHTIME (default 1h)'
	@echo 'make check           runs all that a change must pass, JOBS at a time; .ci/run also installs what that needs'
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

# Packages whose code starts no goroutine, or whose tests leave the work to other
# programs, or to engines and guests that run in one thread. The race detector costs
# minutes there and finds nothing.
UNRACED := /waddle/abi$$|/guest/internal/transcript$$|/host/internal/(rewrite(/internal/.*)?|wasmbin)$$|/host/plugin/preflight$$|/guest$$|/storetest$$|/plugintest$$|/guest/engines/|/host/cmd/waddle$$|/host/cmd/waddle/internal/(inspect|loadtest|project|archive|sessiondir)|/host/engines(/|$$)|/host/internal/e2e$$|/host/bench|/browsertest|/examples/(guests|network|multitenant|django|duck|moving)|^(tools|docs)(/|$$)

# The tests are jobs: "make test/host/session" runs those of a package of the root
# module, "make test/examples" those of another module. Each of these packages is a job
# of its own, since it takes half a minute or more; test/others is the rest of the root
# module. The jobs that take longest come first, so that none is left alone at the end.
LONG := host/plugin host/tenant host/storetest/plugintest host/internal/e2e host/session host/cmd/waddle/internal/project \
        guest/engines/keyfolder host/storetest guest host/cmd/waddle guest/engines/keyfolder/folder \
        host/engines/redis host/engines/postgres guest/engines/redis guest/engines/redis/topology host/storetest/backend
TESTS := $(addprefix test/,host/plugin host/storetest/plugintest host/internal/e2e host/session host/tenant guest/engines/internal/fusetest \
        guest/engines/postgres host/engines/postgres host/engines/redis guest/engines/redis host/cmd/waddle/internal/project others guest/engines/keyfolder examples one-thread guest host/storetest host/cmd/waddle \
        .ci/tools .docs guest/engines/keyfolder/folder guest/engines/redis/topology host/storetest/backend host/cmd/waddle/internal/playground/browsertest host/cmd/waddle/internal/serving/openapitest host/bench host/otel $(ADAPTERS) small)

test: built
	@.ci/jobs $(JOBS) $(TESTS)

# All that a change must pass. What compiles for the same system is kept apart: commands
# that run side by side would compile the same code twice.
CHECKS := $(TESTS) cross verify-guests lint vet verify-mutants verify-engines vuln arm64 windows apidiff verify-fixtures
check: built tools
	@.ci/jobs $(JOBS) $(CHECKS)

# $(1) packages, $(2) those of them to leave out. Sets raced and rest.
define split
all=$$($(GO) list $(1)) || exit 1; $(if $(2),all=$$(echo "$$all" | grep -vE '$(2)');) \
raced=$$(echo "$$all" | grep -vE '$(UNRACED)') || true; rest=$$(echo "$$all" | grep -E '$(UNRACED)') || true
endef

# $(1) packages, $(2) their title, $(3) those to leave out. Some of the unraced tests
# build programs, which the test cache does not track. "make vet" vets more than a test
# would. A make that is run by a test must not take itself for a part of this one.
define run-tests
unset MAKEFLAGS MFLAGS; failed=; $(call split,$(1),$(3)); \
if [ -n "$$raced" ]; then \
  echo '== $(2), $(if $(RACE),with the race detector,SKIPPED: the race detector$(comma) which needs a C compiler)'; \
  $(GO) test -vet=off -timeout 30m $(RACE) -skip '$(ONE_THREAD)' $$raced || failed=1; \
fi; \
if [ -n "$$rest" ]; then \
  echo '== $(2), tests in one thread or in other programs'; \
  $(GO) test -vet=off -timeout 30m -count=1 $$rest || failed=1; \
fi; \
test -z "$$failed"
endef
comma := ,

# Compiles what the test programs consist of. Jobs that run side by side would each
# compile it, for they do not wait for each other. A package that does not compile is
# reported by its test.
built:
	@for module in $(MODULES); do ( cd $$module; $(call split,./...); \
	  test -z "$$raced" || $(GO) list -e -export -deps -test $(RACE) $$raced; \
	  test -z "$$rest" || $(GO) list -e -export -deps -test $$rest; \
	) >/dev/null 2>&1 || true; done

PACKAGE_TESTS := $(addprefix test/,$(LONG))
MODULE_TESTS  := $(addprefix test/,$(filter-out .,$(MODULES)))
.PHONY: $(PACKAGE_TESTS) $(MODULE_TESTS) test/others test/one-thread test/small

$(PACKAGE_TESTS): test/%:
	@$(call run-tests,./$*,$*)

$(MODULE_TESTS): test/%:
	@cd $*; $(call run-tests,./...,$*)

empty :=
test/others:
	@$(call run-tests,./...,the other packages of the root module,/waddle/($(subst $(empty) $(empty),|,$(strip $(LONG))))$$)

test/one-thread:
	@echo '== host/plugin, host/session and host/tenant, tests in one thread'
	@$(GO) test -vet=off -timeout 30m -run '$(ONE_THREAD)' ./host/plugin ./host/session ./host/tenant

test/small:
	@echo '== the suite over the native store, with the race detector'
	@$(GO) test -vet=off $(RACE) -run '^TestMemory$$' ./host/storetest
	@echo '== guest, as authors build it for development'
	@$(GO) test -vet=off -short -tags waddle_debug ./guest

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
	(cd examples; $(call vet-sources,$(EXAMPLE_GUESTS))); \
	(cd guest/engines/postgres; $(call vet-sources,./...))
	$(GO) vet -tags waddle_debug ./guest
	GOOS=wasip1 GOARCH=wasm $(GO) build -o /dev/null ./guest/...

# The packages of guest/ and examples/ that are compiled to WebAssembly. The rest is
# for tests and runs on the tests' systems.
GUESTS         := ./guest ./guest/network ./guest/engines/redis/... ./guest/engines/memory ./guest/engines/keyfolder/... ./guest/engines/dynfile/...
EXAMPLE_GUESTS := ./custom/store ./guests/go ./network/go

# Checks and tests that run at the same time use these and must find them up to date.
tools: bin/tools/staticcheck
	@$(GO) build -modfile=$(TOOLS) -o bin/tools/ golang.org/x/vuln/cmd/govulncheck golang.org/x/exp/cmd/apidiff

bin/tools/staticcheck: .ci/tools/go.mod .ci/tools/go.sum
	@$(GO) build -modfile=$(TOOLS) -o $@ honnef.co/go/tools/cmd/staticcheck

lint: bin/tools/staticcheck
	@set -e; for module in $(MODULES); do echo "== staticcheck $$module"; \
	  (cd $$module && $(CURDIR)/bin/tools/staticcheck ./...); done
	@# staticcheck does not know go:wasmexport and takes code reached from there for unused (U1000).
	GOOS=wasip1 GOARCH=wasm bin/tools/staticcheck -tests=false -checks inherit,-U1000 ./abi $(GUESTS)
	cd examples && GOOS=wasip1 GOARCH=wasm $(CURDIR)/bin/tools/staticcheck -tests=false -checks inherit,-U1000 $(EXAMPLE_GUESTS)
	cd guest/engines/postgres && GOOS=wasip1 GOARCH=wasm $(CURDIR)/bin/tools/staticcheck -tests=false -checks inherit,-U1000 ./...
	GOOS=wasip1 GOARCH=wasm bin/tools/staticcheck -tests=false -checks inherit,-U1000 -tags waddle_debug ./guest
	bin/tools/staticcheck -tags waddle_debug ./guest

vuln:
	@GO='$(GO)' .ci/vuln $(PUBLISHED)

apidiff:
	@GO='$(GO)' .ci/apidiff

cross:
	@cd .ci/tools && $(GO) build -o $(CURDIR)/bin/tools/cross ./cross
	@bin/tools/cross $(foreach os,linux darwin windows,$(os)/amd64 $(os)/arm64)

arm64:
	@GO='$(GO)' .ci/arm64

windows:
	@GO='$(GO)' .ci/windows

docs:
	@cd .docs && $(GO) run ./diagrams -root .. && $(GO) run . -root .. -out ../bin/docs

pictures:
	@$(GO) build -o bin/ ./host/cmd/waddle
	@cd .docs && $(GO) run ./pictures -waddle ../bin/waddle -out ../host/cmd/waddle/pictures

bench:
	@cd host/bench && $(GO) run . -json results.json -benchstat results.txt

# Part of "make test" as well. UPDATE=1 writes the table anew.
allocations:
	@cd host/bench && $(GO) test -vet=off -count=1 -run 'Allocations$$' . $(if $(UPDATE),-update)
	@cat host/bench/testdata/allocations.txt

# REF is a tag or commit whose benchmarks build.
TURNS ?= 5
bench-against:
	@git rev-parse --verify --quiet '$(REF)^{commit}' >/dev/null || \
	  { echo "REF is '$(REF)': must be a tag or commit to compare with, as in make bench-against REF=v0.1.0"; exit 1; }
	@other=$$(mktemp -d); trap 'rm -rf "$$other"' EXIT; git archive '$(REF)' | tar -x -C "$$other"; \
	  cd host/bench && $(GO) run . -against "$$other" -turns $(TURNS) -benchstat against.txt

FUZZTIME ?= 20s
fuzz:
	@set -e; $(GO) list ./... | while read -r package; do \
	  $(GO) test -list '^Fuzz' $$package | grep '^Fuzz' | while read -r target; do \
	    echo "== $$package $$target"; $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$package; \
	  done; \
	done

# Compares rewritten modules with what they were, for so long each: random modules, and
# modules with random faults. Then come all guests and all of the specification's tests.
PROOFTIME ?= 10m
proof:
	WADDLE_PROOF=$(PROOFTIME) $(GO) test -v -count=1 -timeout 24h ./host/internal/rewrite/internal/proof

# Prints the worst module found, and fails if it exceeds the bound.
SEARCHTIME ?= 1h
search:
	WADDLE_SEARCH=$(SEARCHTIME) $(GO) test -v -run '^TestSearchCompileCosts$$' -timeout 24h ./host/plugin

# $(1) engine, $(2) output file, with its whole path. An engine with dependencies of its own
# is a module of its own. It is built with the names of its functions (no -s), which pack needs
# and drops.
define build-engine
GOTOOLCHAIN=$(ENGINE_GO) GOOS=wasip1 GOARCH=wasm GOFLAGS= GOWORK=off CGO_ENABLED=0 GOWASM= \
  $(GO) build -C guest/engines/$(1) -buildmode=c-shared -trimpath -buildvcs=false -ldflags='-w -buildid=' -o $(2) .
endef

engines:
	@set -e; for engine in $(ENGINES); do \
	  $(call build-engine,$$engine,$(CURDIR)/host/engines/$$engine/$$engine.wasm); \
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
	@$(GO) run ./host/cmd/waddle manifest sum --dir examples examples/multitenant/tenants/*.json
	@$(MAKE) --no-print-directory templates

verify-guests:
	@examples/guests/build.sh -verify
	@$(GO) run ./host/cmd/waddle/internal/project/pack -verify

templates:
	@$(GO) run ./host/cmd/waddle/internal/project/pack
