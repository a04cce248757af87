# Four commands are all a contributor needs: make demo, make test, make lint, make bench.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
KERNELS := $(shell find src/longspan/kernels/csrc -type f)
READY  := $(VENV)/.ready

.PHONY: demo test browser lint format sanitize arm64 bench clean

demo: $(READY)
	$(BIN)/python examples/demo.py

test: lint browser
	$(BIN)/python -m pytest -n 2 --dist worksteal

# The report is also tested in a real browser; where none can be installed, that test is skipped.
browser:
	@command -v chromium chromium-browser chrome >/dev/null \
	  || (command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] \
	      && apt-get update -qq && apt-get install -y -qq chromium >/dev/null) \
	  || echo "No Chromium here and none could be installed: the browser test will be skipped."

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The kernels' own tests under sanitizers: memory and undefined behaviour, then threads.
sanitize:
	for kind in address,undefined thread; do \
	  cmake -S tests/kernels -B build/$$kind -DLONGSPAN_SANITIZE=$$kind >/dev/null \
	  && cmake --build build/$$kind -j2 && for test in kernels_test online_test; do \
	    UBSAN_OPTIONS=halt_on_error=1 build/$$kind/$$test || exit 1; done || exit 1; done

# The same tests for 64-bit ARM, in an emulator; needs g++-aarch64-linux-gnu and qemu-user.
arm64:
	cmake -S tests/kernels -B build/arm64 -DCMAKE_SYSTEM_NAME=Linux \
	  -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ >/dev/null
	cmake --build build/arm64 -j2
	qemu-aarch64 -L /usr/aarch64-linux-gnu build/arm64/kernels_test 60
	qemu-aarch64 -L /usr/aarch64-linux-gnu build/arm64/online_test

bench: $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt onnx onnxruntime openvino jax flax
	$(BIN)/python -m benchmarks

$(READY): pyproject.toml constraints.txt CMakeLists.txt $(KERNELS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test,lint]' \
	  --config-settings=cmake.define.LONGSPAN_WERROR=ON
	touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
