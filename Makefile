# On a fresh machine `make demo` and `make test` do everything; nothing is installed or built again when nothing changed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PEERS  := .peers
PIP    := $(BIN)/python -m pip install --quiet --constraint constraints.txt
NATIVE := CMakeLists.txt $(wildcard native/*)

# A process for each core; a test goes to the one that has the least left to do.
PYTEST := $(BIN)/pytest --numprocesses auto --dist worksteal
# Every package, and a tiny fit of a task.
FAST   := tests/cells tests/engine tests/nn tests/formats tests/data tests/conformance/test_cells_against_torch.py \
	tests/conformance/test_engine_against_torch.py tests/tasks/forecast/test_forecaster.py $(wildcard tests/test_*.py)

.PHONY: help demo setup test test-fast release-check wheel lint docs bench peers pretrain sanitize cross clean

help:
	@echo "make demo      fit, evaluate and report on bundled real data, about a minute of training"
	@echo "make test      lint, types and every test, on all cores; about ten minutes on two"
	@echo "make test-fast the quick tests of every package, in less than a minute"
	@echo "make setup     the developer's environment in $(VENV)"
	@echo "make lint      ruff, mypy, clang-format"
	@echo "make docs      write docs/reference and docs/api from the program, and the site into build/site"
	@echo "make bench     measure against the peers and write benchmarks/README.md"
	@echo "make pretrain  train the bundled forecaster with two seeds, which takes some hours; goes on where it was stopped"
	@echo "make peers     the peers to measure against, in $(PEERS)"
	@echo "make wheel     the wheel for this machine and the sdist, in dist/"
	@echo "make sanitize  the engine under the address, undefined-behaviour and thread sanitizers"
	@echo "make cross     the engine for 64-bit ARM, under qemu, and for Windows, under Wine"
	@echo "make release-check  what takes too long for every change: make test sanitize cross, the soaks, the demo"
	@echo "make clean     remove $(VENV), $(PEERS), build/ and caches"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# The build tools live in the environment, so a rebuild compiles only what changed and needs no network.
$(VENV)/.tools: constraints.txt | $(BIN)/python
	$(PIP) scikit-build-core nanobind cmake ninja
	@touch $@

$(VENV)/.demo: $(VENV)/.tools pyproject.toml $(NATIVE)
	$(PIP) --no-build-isolation --editable '.[train,series]'
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(PIP) --no-build-isolation --editable '.[dev]'
	@touch $@

demo: $(VENV)/.demo
	$(BIN)/memfold demo

setup: $(VENV)/.dev

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $(wildcard native/*.hpp native/*.cpp tests/native/*.hpp tests/native/*.cpp examples/onnx/*.cpp)

test: lint
	$(PYTEST) -m "not release"

test-fast: $(VENV)/.dev
	$(PYTEST) -m "not slow and not alone and not release" $(FAST)

# About an hour and a half, and MINUTES more for the server's soak; MINUTES is for each soak. OpenVINO is for the example in C++, axe and wasmtime for the explorer's
# page, schemathesis for the server.
MINUTES ?= 15
release-check: sanitize cross test
	$(PIP) --no-deps openvino axe-core-python wasmtime
	$(PIP) schemathesis
	$(PYTEST) -m release
	$(BIN)/python tests/faults.py --kills 100
	for isa in v2 v3 v4 v4-bf16 v4-amx neon neon-bf16; do \
		! MEMFOLD_ISA=$$isa $(BIN)/python -c "import memfold.engine" 2>/dev/null || \
		MEMFOLD_ISA=$$isa $(BIN)/python tests/nn/soak.py --minutes $(MINUTES) || exit 1; \
	done
	$(BIN)/python tests/engine/soak_busy.py --minutes $(MINUTES)
	$(BIN)/python tests/serve/soak_streams.py --minutes $(MINUTES)
	$(BIN)/memfold demo

# The wheel is built from the sdist, so that this is complete.
wheel: $(VENV)/.tools
	rm -rf dist
	$(BIN)/python -c "from scikit_build_core.build import build_sdist; build_sdist('dist')"
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist dist/memfold-*.tar.gz
	@ls -l dist

docs: $(VENV)/.dev
	$(BIN)/python docs/make_reference.py
	$(BIN)/python docs/make_contents.py
	$(BIN)/python docs/site/build.py build/site
	@echo "the site is in build/site; open build/site/index.html"

# The peers, measured against and never depended on, have an environment of their own.
$(PEERS)/.done: constraints.txt pyproject.toml $(NATIVE)
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --constraint constraints.txt scikit-build-core nanobind cmake ninja
	$(PEERS)/bin/python -m pip install --quiet --constraint constraints.txt --no-build-isolation \
		--config-settings=build-dir=build/peers --editable '.[train,series]' onnx onnxruntime jax keras \
		neuralforecast
	@touch $@

peers: $(PEERS)/.done

bench: peers
	$(PEERS)/bin/python benchmarks/table.py

# What is bundled is the one with the better scores on the development parts (benchmarks/instant.py --part dev).
pretrain: $(VENV)/.dev
	for seed in 0 1; do \
		$(BIN)/python -m memfold.pretrained.training --out build/pretrained/$$seed --seed $$seed || exit 1; \
	done

sanitize:
	tests/native/sanitize

cross: $(VENV)/.tools
	tests/native/cross

clean:
	rm -rf $(VENV) $(PEERS) build dist demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
