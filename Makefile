# make          builds ./bin/upgrade-responder
# make run      builds and starts it with the sample configuration, and prints a check-in and a report to try
# make demo     shows the page with two made-up years of an application; make pictures takes docs/page-*.png of it
# make test     installs what the tests need (Debian), then runs the format check, lints and all tests
# make soak     10 minutes of random faults against the store; SOAK_SECONDS and SOAK_SEED change them
# make bench    measures the whole program beside a bare listener, and says which targets are met; minutes
# make bench-check  counts the instructions of a check-in; fails where they are over 5 % more than before
# make bench-ledger  five years of totals: their size, and the time of reports; takes minutes
# make tried    runs the tests and writes tests/TRIED.md: what was tried on the server, what came of it
# make fuzz     runs every fuzz target for SECONDS=600 each, or those in FUZZ; needs cargo-fuzz
# make deny     checks licences, sources, versions and advisories of all dependencies; needs cargo-deny
# make deb      builds the Debian package
# make copyright  writes packaging/copyright again, from the licences of all crates in the program
# make vm-test  installs it on a Debian with systemd, in a container, and tries it; takes minutes, needs root
# make clean    removes what was built

PORT ?= 8314
PAGE_PORT ?= 8315

TARGET := $(or $(CARGO_TARGET_DIR),target)
RELEASE := $(TARGET)/release/upgrade-responder
SAMPLE_GEODB := $(TARGET)/sample.mmdb
DEMO := $(TARGET)/demo

SECONDS ?= 600
FUZZ ?= request_body forwarded_for response_config request_schema spool_recovery line_protocol

.PHONY: build run demo demo-data pictures test soak bench bench-check bench-ledger tried fuzz deny deb copyright vm-test clean

build:
	cargo build --release --locked
	install -D $(RELEASE) bin/upgrade-responder

# With the profile of the server, so that a new clone builds the dependencies once.
run: SAMPLE_PROFILE := --release
run: build $(SAMPLE_GEODB)
	@printf '%s\n' '' \
	  'Once the server says that it is ready, send it a check-in from another terminal:' '' \
	  "  curl -H 'X-Forwarded-For: 203.0.113.7' http://127.0.0.1:$(PORT)/v1/checkupgrade \\" \
	  "    -d '{\"appVersion\":\"v1.0.0\",\"extraTagInfo\":{\"kubernetesVersion\":\"v1.31.2\"},\"extraFieldInfo\":{\"nodeCount\":3}}'" '' \
	  'See how many installations there are, and of which versions:' '' \
	  '  http://127.0.0.1:$(PAGE_PORT)/' '  ./bin/upgrade-responder report --by app_version' '' \
	  'What it recorded:  cat upgrade-responder-data/sample/spool/*.lp' 'Ctrl-C stops it.' ''
	@exec ./bin/upgrade-responder start \
	  --port $(PORT) \
	  --metrics-listen 127.0.0.1:$(PAGE_PORT) \
	  --application-name sample \
	  --upgrade-response-config examples/response-config.json \
	  --request-schema examples/request-schema.json \
	  --geodb $(SAMPLE_GEODB) \
	  --state-dir ./upgrade-responder-data

# Elsewhere not as a release: the tests have built it already, and optimising it takes longer than running it.
$(SAMPLE_GEODB): examples/sample-geodb.rs
	@mkdir -p $(@D)
	cargo run $(SAMPLE_PROFILE) --locked --example sample-geodb -- $@

# Replaces what is there.
demo-data: build
	cargo run --release --locked --example demo-fleet -- $(DEMO)
	rm -rf $(DEMO)/state
	mkdir -p $(DEMO)/state
	./bin/upgrade-responder import-totals $(DEMO)/totals.csv --application-name demo --state-dir $(DEMO)/state

demo: demo-data
	@echo 'The page: http://127.0.0.1:$(PAGE_PORT)/   Ctrl-C stops it.'
	@exec ./bin/upgrade-responder start \
	  --port $(PORT) \
	  --metrics-listen 127.0.0.1:$(PAGE_PORT) \
	  --application-name demo \
	  --upgrade-response-config $(DEMO)/response-config.json \
	  --state-dir $(DEMO)/state

pictures: demo-data
	tests/install-debian-packages
	cargo test --locked --test main -- --ignored --exact --nocapture page::pictures::of_the_demo

test:
	tests/install-debian-packages
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy --bench load --bench instructions --bench ledger --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --package upgrade-responder-client --no-deps --locked
	RUSTDOCFLAGS='-D warnings' cargo doc --package upgrade-responder --lib --no-deps --document-private-items --locked
	# Tests wait more than they work: with two for each core they take 8 minutes on two cores, with one 13.
	RUST_TEST_THREADS=$$((2 * $$(nproc))) cargo test --workspace --locked

soak:
	tests/install-debian-packages
	cargo test --locked --test main -- --ignored --exact --nocapture soak::random_faults_lose_and_double_nothing

# SAVE=--save writes benches/README.md and what later runs are compared with.
bench:
	tests/install-debian-packages wrk:wrk gnuplot:gnuplot-nox
	cargo bench --locked --bench load -- $(SAVE)

bench-check:
	tests/install-debian-packages valgrind:valgrind
	cargo bench --locked --bench instructions -- $(SAVE)

bench-ledger:
	cargo bench --locked --bench ledger -- $(SAVE)

tried:
	rm -rf $(TARGET)/tmp/tried
	$(MAKE) test
	tests/collect-tried $(TARGET)/tmp/tried >tests/TRIED.md

# RUSTC_BOOTSTRAP: coverage for the fuzzer is a flag of nightly compilers, which the stable one has too.
# No sanitizer: there is no unsafe code of ours, and without one it is twice as fast.
fuzz:
	@command -v cargo-fuzz >/dev/null || { echo 'make fuzz needs cargo-fuzz: cargo install --locked cargo-fuzz' >&2; exit 1; }
	for target in $(FUZZ); do \
	  mkdir -p fuzz/corpus/$$target && \
	  RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
	    -max_total_time=$(SECONDS) -timeout=10 || exit 1; \
	done

deny:
	@command -v cargo-deny >/dev/null || { echo 'make deny needs cargo-deny: cargo install --locked --debug cargo-deny' >&2; exit 1; }
	cargo deny --locked check licenses bans sources
	@if cargo deny fetch db; then cargo deny --locked check advisories; \
	else echo 'ADVISORIES WERE NOT CHECKED: their database cannot be fetched from here' >&2; fi

deb:
	packaging/deb

copyright:
	WRITE_COPYRIGHT=1 cargo test --locked --test main -- copyright::

vm-test: deb $(SAMPLE_GEODB)
	packaging/vm-test $(TARGET)/debian/upgrade-responder_*.deb $(SAMPLE_GEODB)

clean:
	cargo clean
	rm -rf bin
