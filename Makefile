# make          builds ./bin/upgrade-responder
# make run      builds and starts it with the sample configuration, and prints a check-in and a report to try
# make demo     shows the page with two years of invented totals; make pictures writes screenshots to docs/page-*.png
# make test     installs what the tests need (Debian), then runs the format check, lints and all tests
# make soak     10 minutes of random faults against the store; SOAK_SECONDS and SOAK_SEED change them
# make bench    measures the server and a bare listener, and prints which targets are met; takes minutes
# make bench-check  counts the instructions of a check-in; fails if they are over 5 % more than the saved number
# make bench-ledger  measures a ledger of five years: its size, and the time of reports; takes minutes
# make tried    runs the tests and writes tests/TRIED.md: what was tried on the server, with the results
# make fuzz     runs every fuzz target for SECONDS=600 each, or those in FUZZ; needs cargo-fuzz
# make deny     checks licences, sources, versions and advisories of all dependencies; needs cargo-deny
# make deb      builds the Debian package
# make copyright  recreates packaging/copyright from the licences of all crates in the program
# make vm-test  installs the package on a Debian with systemd in a container, and tests it; takes minutes, needs root
# make clean    deletes the results of builds

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

# The sample is built with the server's profile, so that a new clone builds the dependencies only once.
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

# Other targets use the debug profile: the tests have built it already, and optimising takes longer than the run.
$(SAMPLE_GEODB): examples/sample-geodb.rs
	@mkdir -p $(@D)
	cargo run $(SAMPLE_PROFILE) --locked --example sample-geodb -- $@

# Replaces the data of an earlier demo.
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
	# Tests mostly wait. On two cores they take 8 minutes with two threads for each core, and 13 with one.
	RUST_TEST_THREADS=$$((2 * $$(nproc))) cargo test --workspace --locked

soak:
	tests/install-debian-packages
	cargo test --locked --test main -- --ignored --exact --nocapture soak::random_faults_lose_and_double_nothing

# SAVE=--save writes the results to benches/, where later runs are compared with them.
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

# RUSTC_BOOTSTRAP lets the stable compiler accept the nightly flag for the fuzzer's coverage.
# No sanitizer: this repository has no unsafe code, and fuzzing is twice as fast without one.
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
