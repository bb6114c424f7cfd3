# The front door. A target that builds does its own set-up on a Debian 12 machine; see scripts/setup.sh.
.PHONY: help build demo test sim mutants bench check-long asan tsan tidy format clean
.DEFAULT_GOAL := help

BUILD ?= build
JOBS ?= $(shell nproc)
CTEST = ctest --output-on-failure --no-tests=error

help:
	@echo "make demo        build, then watch masters fail over (under a minute once built)"
	@echo "make test        build, then the tests that are quick"
	@echo "make build       $(BUILD)/bin/conclaved and $(BUILD)/bin/conclave"
	@echo "make sim         seeds of a whole simulated cluster (200; make sim SEEDS=n for more)"
	@echo "make mutants     bugs planted in the core, one at a time: which check finds each"
	@echo "make bench       build, then measure against etcd (half an hour on a quiet machine)"
	@echo "make check-long  the tests that take longer: many seeds, sanitizers"
	@echo "make asan | tsan the tests under a sanitizer;  make tidy | format   style"

# Two cores need some minutes when nothing is cached.
$(BUILD)/build.ninja:
	@scripts/setup.sh build
	@cmake -S . -B $(BUILD) -G Ninja -DCMAKE_BUILD_TYPE=Release > $(BUILD)-configure.log 2>&1 \
	  || { cat $(BUILD)-configure.log; exit 1; }
	@mv $(BUILD)-configure.log $(BUILD)/configure.log

build: $(BUILD)/build.ninja
	@echo "build: some minutes on two cores the first time, seconds after that"
	@ninja -C $(BUILD) -j $(JOBS) conclaved conclave

demo: $(BUILD)/build.ninja
	@ninja -C $(BUILD) -j $(JOBS) conclaved conclave master_slave
	@$(BUILD)/bin/master_slave

test: $(BUILD)/build.ninja
	@scripts/setup.sh test
	@cmake $(BUILD) > $(BUILD)/configure.log
	@ninja -C $(BUILD) -j $(JOBS)
	@cd $(BUILD) && $(CTEST) -LE long -j $(JOBS)

SEEDS ?= 200
sim: $(BUILD)/build.ninja
	@cmake $(BUILD) > $(BUILD)/configure.log
	@ninja -C $(BUILD) -j $(JOBS) --quiet bin/sim
	@$(BUILD)/bin/sim --seeds $(SEEDS)

mutants: $(BUILD)/build.ninja
	@cmake $(BUILD) > $(BUILD)/configure.log
	@ninja -C $(BUILD) -j $(JOBS) --quiet bin/mutants
	@$(BUILD)/bin/mutants --jobs $(JOBS)

# One workload: make bench BENCH='--only W2 --pairs 1'
bench: $(BUILD)/build.ninja
	@scripts/setup.sh bench
	@cmake $(BUILD) > $(BUILD)/configure.log
	@ninja -C $(BUILD) -j $(JOBS) conclaved conclave-bench
	@$(BUILD)/bin/conclave-bench $(BENCH)

asan tsan:
	@scripts/setup.sh test
	@scripts/sanitize.sh $@

check-long: test
	@cd $(BUILD) && $(CTEST) -L long
	@scripts/sanitize.sh asan all
	@scripts/sanitize.sh tsan

tidy: $(BUILD)/build.ninja
	@scripts/tidy.sh $(BUILD)

format:
	@git ls-files '*.cc' '*.h' | xargs clang-format -i

clean:
	@rm -rf $(BUILD) build-asan build-tsan
