# make          builds ./bin/upgrade-responder
# make run      builds and starts it with the sample configuration, and prints a request to try
# make test     installs what the tests need (Debian), then runs the format check, lints and all tests
# make soak     10 minutes of random faults against the store; SOAK_SECONDS and SOAK_SEED change them
# make deb      builds the Debian package
# make vm-test  installs it on a Debian with systemd, in a container, and tries it; takes minutes, needs root
# make clean    removes what was built

PORT ?= 8314

TARGET := $(or $(CARGO_TARGET_DIR),target)
RELEASE := $(TARGET)/release/upgrade-responder
SAMPLE_GEODB := $(TARGET)/sample.mmdb

.PHONY: build run test soak deb vm-test clean

build:
	cargo build --release --locked
	install -D $(RELEASE) bin/upgrade-responder

run: build $(SAMPLE_GEODB)
	@printf '%s\n' '' \
	  'Once the server says that it is ready, send it a check-in from another terminal:' '' \
	  "  curl -H 'X-Forwarded-For: 203.0.113.7' http://127.0.0.1:$(PORT)/v1/checkupgrade \\" \
	  "    -d '{\"appVersion\":\"v1.0.0\",\"extraTagInfo\":{\"kubernetesVersion\":\"v1.31.2\"},\"extraFieldInfo\":{\"nodeCount\":3}}'" '' \
	  'See what it recorded:  cat upgrade-responder-spool/*/*.lp' 'Ctrl-C stops it.' ''
	@exec ./bin/upgrade-responder start \
	  --port $(PORT) \
	  --application-name sample \
	  --upgrade-response-config examples/response-config.json \
	  --request-schema examples/request-schema.json \
	  --geodb $(SAMPLE_GEODB) \
	  --spool-dir ./upgrade-responder-spool

$(SAMPLE_GEODB): examples/sample-geodb.rs
	cargo run --release --locked --example sample-geodb -- $@

test:
	tests/install-debian-packages
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	cargo test --locked

soak:
	tests/install-debian-packages
	cargo test --locked --test main -- --ignored --exact --nocapture soak::random_faults_lose_and_double_nothing

deb:
	packaging/deb

vm-test: deb
	packaging/vm-test

clean:
	cargo clean
	rm -rf bin
