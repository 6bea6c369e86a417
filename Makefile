# The whole set-up is behind these targets: `make repro` and `make test` install what they need, once.
PYTHON ?= python3
VENV   := .venv
BIN    := $(if $(filter Windows_NT,$(OS)),$(VENV)/Scripts,$(VENV)/bin)
PIP    := $(BIN)/python -m pip install --disable-pip-version-check
# The index to take torch from, and nothing else: https://download.pytorch.org/whl/cpu has it without CUDA. Empty: as pip is set up.
TORCH_INDEX ?=
# DVC runs each stage as `python -m stages.NAME`, so the environment's python comes first on the path.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: install repro runs test lint bench robustness

install: $(VENV)/.installed

$(VENV)/.installed: requirements.lock requirements-torch.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("nerfpipe needs Python 3.10 or later, this is " + sys.version.split()[0] + ": make PYTHON=python3.11 install" if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes --no-deps -r requirements.lock
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) -r requirements-torch.lock
	$(PIP) --no-deps --no-build-isolation -e .
	$(BIN)/python -m nerfpipe compile
	touch $@

repro: install
	$(BIN)/python -m nerfpipe check
	$(BIN)/python -m dvc repro
	$(BIN)/python -m nerfpipe summary

# Every experiment since HEAD, best first; what is dropped is named, so that no changed param is. All columns: dvc exp show.
runs: install
	$(BIN)/python -m dvc exp show --no-pager --only-changed --drop '.*/.*|Created|Parent|Executor|params\.yaml|runtime\.|train\.(scene|method|weights)|speed\.(?!seconds)|test\.(views|background)' --keep 'speed.seconds$$|^scene$$|^method$$' --sort-by test.psnr --sort-order desc

test: install
	$(BIN)/python -m pytest

bench: install
	$(BIN)/python -m benchmarks

robustness: install
	$(BIN)/python -m robustness

lint: install
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
