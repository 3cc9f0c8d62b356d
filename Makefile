# A thin front to CMake: `make` builds build/modeld, `make run` shows it at
# work, `make test` tests it.  `make help` lists the rest.
PORT ?= 8080
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 30
DIFF_CASES ?= 50000
JOBS ?= $(shell nproc)
export PORT PREFIX FUZZ_SECONDS JOBS

all: ## the program, at build/modeld
	@tools/deps.sh build
	@tools/build.sh release --target modeld
	@ln -sfn release/modeld build/modeld

run: all ## convert, quantize, check and serve a trained net on :$(PORT)
	@examples/fashion/demo

test: ## every test, with a count at the end
	@tools/deps.sh test
	@tools/test.sh dev

coverage: ## every test, the share of lines they run, and their own lines
	@tools/deps.sh test
	@tools/coverage.sh

lint: ## every lint
	@tools/deps.sh lint
	@tools/lint/run.sh

bench: all ## compare with onnxruntime and OpenVINO, interleaved; requests under load
	@tools/deps.sh bench
	@bench/run

fuzz: ## each fuzz target for FUZZ_SECONDS
	@tools/deps.sh lint
	@tools/fuzz.sh

diff: ## DIFF_CASES drawn models, in modeld and in onnxruntime
	@tools/deps.sh test
	@tools/build.sh dev --target modeld_shared --target modeld
	@build/venv/bin/python tests/diff/fuzz.py --cases $(DIFF_CASES)

deps: ## install everything that building, testing and linting need
	@tools/deps.sh build test lint

install: all ## into $(DESTDIR)$(PREFIX): program, library, manual page, unit
	@cmake build/release -DCMAKE_INSTALL_PREFIX="$(PREFIX)" >/dev/null
	@tools/build.sh release --target product
	@DESTDIR="$(DESTDIR)" cmake --install build/release

uninstall: ## remove from $(DESTDIR) what the last install put there
	@tools/uninstall.sh build/release "$(DESTDIR)"

conformance: ## the standard's own cases, and why some do not pass
	@tools/deps.sh test
	@tools/build.sh dev --target test_ops_node_cases
	@tools/conformance

conversion: all ## each test model of another framework, and why some fail
	@tools/deps.sh test
	@build/venv/bin/python tools/conversion --write docs/reference/conversion.md

reference: ## write docs/reference anew from the lists
	@tools/build.sh dev --target mkref
	@build/dev/tools/gen/mkref docs/reference

fmt: ## format the C sources
	@git ls-files '*.c' '*.h' | xargs clang-format-14 -i

clean: ## remove build/
	@rm -rf build

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 13

.PHONY: all run test coverage lint bench fuzz diff deps install uninstall conformance conversion reference fmt clean help
