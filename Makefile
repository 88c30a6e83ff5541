# The loop: start, test, check, bench. Each target installs what it needs and nothing that is already there.
#
#   make start    build in release and run the local stack (ARGS="--workdir DIR --api-port N …")
#   make test     everything CI runs: fmt, clippy, tidy, unit and database tests, e2e
#   make check    the same without the end-to-end tests
#   make bench    throughput and latency against pgbench (figures: docs/BENCHMARKS.md)
#
# CARGO_TARGET_DIR is honoured everywhere.

SHELL := /bin/bash
export PATH := $(PATH):$(HOME)/.cargo/bin

toolchain := $(shell scripts/toolchain.sh)
ifneq ($(toolchain),)
export RUSTUP_TOOLCHAIN := $(toolchain)
endif

target := $(or $(CARGO_TARGET_DIR),target)
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help start build test check bench density fmt clean

help:
	@sed -n 's/^#   //p' Makefile

start: build
	exec $(target)/release/rowhouse start $(ARGS)

build:
	scripts/setup.sh build run
	cargo build --release --locked --package rowhouse

test:
	scripts/setup.sh build run s3 e2e
	cargo xtask test

check:
	scripts/setup.sh build run s3
	cargo xtask check

bench:
	scripts/setup.sh build run bench
	cargo build --release --locked --package rowhouse
	cargo xtask bench $(ARGS)

density:
	scripts/setup.sh build run
	cargo build --release --locked --package rowhouse
	cargo xtask bench density $(ARGS)

fmt:
	cargo fmt --all

clean:
	cargo clean
	rm -rf e2e/node_modules
