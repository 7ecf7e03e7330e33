# SPDX-License-Identifier: Apache-2.0
#
# The front door. Everything here is a short way to say what docs/testing.md spells out.

PRESET ?= release
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
DESTDIR ?=

run_tests = scripts/run-tests build/dev

.DEFAULT_GOAL := help
.PHONY: help deps build build-dev demo test sim kernel e2e crash fuzz bench prove lint fmt tidy install package prove-package clean

help:
	@echo 'Crossbeat. The two to begin with:'
	@echo '  sudo make demo       two appliances, one dies: watch the other take over'
	@echo '  sudo make test       everything that can be tested on one machine, counted'
	@echo
	@echo 'Parts of it:'
	@echo '  sudo make deps       install the Debian packages (all of them)'
	@echo '  make build           the programs, in build/release (PRESET=dev|asan|clang|release)'
	@echo '  make sim             the simulator: pairs under faults, by seeds'
	@echo '  sudo make kernel     eBPF and edges against the real kernel'
	@echo '  sudo make e2e        two real appliances in network namespaces'
	@echo '  sudo make crash      kills at every durable step'
	@echo '  make fuzz            every fuzzer, FUZZ_SECONDS each (now $(FUZZ_SECONDS))'
	@echo '  sudo make bench      all measurements; bench-NAME runs one'
	@echo '  sudo make prove      the long proofs: power failures, switchovers, cuts, rot; prove-NAME runs one'
	@echo '  make lint            format, shell scripts, rules of the house'
	@echo '  make fmt             put the format right'
	@echo '  make tidy            clang-tidy over everything'
	@echo '  sudo make install    into PREFIX (now $(PREFIX))'
	@echo '  make package         a Debian package, with its bill of materials, in build/'
	@echo '  sudo make prove-package   ... installed, upgraded and purged in a whole clean Debian'
	@echo '  make clean           remove build/'

deps:
	@scripts/deps all

build:
	@scripts/deps build
	@cmake --preset $(PRESET) --log-level=WARNING
	@cmake --build --preset $(PRESET)

build-dev:
	@scripts/deps build test
	@cmake --preset dev --log-level=WARNING
	@cmake --build --preset dev

# Only what the demo runs, so that a newcomer need not wait for the tests.
demo:
	@scripts/deps build
	@scripts/deps test
	@cmake --preset release --log-level=WARNING
	@cmake --build --preset release --target crossbeatd crossbeat crossbeat-volume cb_wire cb_power_off cb_client_probe cb_arp_judge
	@scripts/demo

test: build-dev
	@$(run_tests) --but bench

sim kernel e2e crash: build-dev
	@$(run_tests) --only $@

fuzz:
	@scripts/deps build test
	@cmake --preset fuzz --log-level=WARNING
	@cmake --build --preset fuzz
	@scripts/run-fuzzers build/fuzz $(FUZZ_SECONDS)

bench: build
	@scripts/deps bench
	@scripts/bench

bench-%: build
	@scripts/deps bench
	@scripts/bench $*

prove: build
	@scripts/deps test
	@scripts/prove

prove-%: build
	@scripts/deps test
	@scripts/prove $*

lint:
	@scripts/lint

fmt:
	@scripts/lint --fix

tidy:
	@scripts/deps build test
	@cmake --preset clang --log-level=WARNING
	@cmake --build --preset clang --target cb_bpf
	@scripts/lint --clang-tidy build/clang

install: build
	@cmake --install build/$(PRESET) --prefix "$(DESTDIR)$(PREFIX)"

version = $(shell awk '/^project/ { print $$3 }' CMakeLists.txt)

# Only the programs, not their tests.
package:
	@scripts/deps build
	@cmake --preset $(PRESET) --log-level=WARNING
	@cmake --build --preset $(PRESET) --target crossbeatd crossbeat crossbeat-volume crossbeat-witness
	@scripts/sbom build/$(PRESET) $(version) build/$(PRESET)/crossbeat.spdx.json
	@cd build/$(PRESET) && cpack -G DEB -B "$(CURDIR)/build" >cpack.log 2>&1 || { tail -n 20 cpack.log; exit 1; }
	@ls build/*.deb

# The package in a whole, clean Debian; takes minutes, most of them for making that Debian.
prove-package: package
	@scripts/deps prove
	@tests/package/clean_tree.sh build/$(PRESET)

clean:
	rm -rf build
