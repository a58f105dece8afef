# Every target does its own set-up: on a fresh clone, `make demo` or `make test` is all there is to type.

CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=
# How long the demo runs, in seconds.
SECONDS_TO_SHOW ?= 30
# How long each fuzz target runs, in seconds.
FUZZ_SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help deps demo test lab bench fuzz install fmt lint

help: ## this list
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

deps: ## install what a fresh Debian lacks (needs root or sudo once)
	@.ci/deps

demo: deps ## three hosts in a private network: watch wrong clocks become right
	@$(CARGO) run --bin clockwright -- demo --seconds $(SECONDS_TO_SHOW)

test: deps ## every test: unit, simulation, network namespaces with real peers, hardware in the lab, documentation
	@tests/lab/setup
	$(CARGO) test --workspace --no-fail-fast

lab: deps ## a real clock steered beside chronyd's, in a guest (x86-64, QEMU, root; about 15 minutes)
	tests/lab/setup
	$(CARGO) build --release --locked --bin clockwright
	tests/lab/steer
	tests/lab/compare

bench: deps ## the benchmarks
	$(CARGO) bench --workspace --benches

fuzz: deps ## every fuzz target for FUZZ_SECONDS (60); apart from the tests, since it takes long
	FUZZ_SECONDS=$(FUZZ_SECONDS) fuzz/run

install: deps ## build for speed and install below $(DESTDIR)$(PREFIX)
	$(CARGO) build --release --locked --bin clockwright
	install -D -s -m 755 "$${CARGO_TARGET_DIR:-target}/release/clockwright" "$(DESTDIR)$(PREFIX)/bin/clockwright"

fmt: ## format the code
	$(CARGO) fmt --all

lint: deps ## format check, clippy and documentation, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps
