# `make demo` sets everything up and runs the main job. `make help` lists the rest.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo test coverage smoke lint bench fuzz docs tutorials gpu clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1	\2/p' $(MAKEFILE_LIST)

# The stamp is written last, so an interrupted installation is taken up again by the next make.
# On Linux the default torch wheel brings its CUDA libraries; to save them, let PIP_EXTRA_INDEX_URL point
# at PyTorch's own index of CPU wheels.
.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev,data,examples,hf,onnx,docs]'
	touch $@

demo: .venv/.ready ## store the example table, recall and verify it, redraw one figure; about a minute
	$(BIN)/factweights store examples/countries.csv --method exact-linear --d auto --out demo-out/countries --overwrite
	$(BIN)/factweights recall demo-out/countries France capital
	$(BIN)/factweights verify demo-out/countries
	$(BIN)/factweights reproduce fig1-left --scale smoke --out demo-out/fig1-left
	@echo 'Look at demo-out/fig1-left/fig1-left.png. Next: .venv/bin/factweights plan YOUR_TABLE.csv, or .venv/bin/factweights alone.'

test: .venv/.ready ## run the tests on two workers
	$(BIN)/pytest -n 2

FAST := weighted tail_average superposition table table_readers theory limits associations recall_task verify rounding prompt_rounding
MEASURED := errors theory facts certificates

coverage: .venv/.ready ## lines of errors, theory, facts and certificates that fast tests run; fails below the floor
	$(BIN)/pytest -n 2 -m 'not slow' $(FAST:%=tests/test_%.py) $(MEASURED:%=--cov=factweights.%) \
		--cov-report=term:skip-covered --cov-fail-under=90

smoke: .venv/.ready ## measure and draw every figure of the paper at its smallest, and write the report
	$(BIN)/factweights reproduce all --scale smoke --out smoke-out

lint: .venv/.ready ## check format, style, types and which floor imports which
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

# The test options of pyproject.toml switch benchmarks off and shape checks on; both are wrong here.
bench: .venv/.ready ## run the benchmarks, one process; compare ratios within one run
	$(BIN)/pytest benchmarks -o addopts= -o timeout=0 -o python_files='bench_*.py test_*.py' -p no:xdist --benchmark-only

fuzz: .venv/.ready ## give damaged and forged inputs to every reader and command; some minutes
	$(BIN)/python benchmarks/fuzz.py 3000

docs: .venv/.ready ## write docs/cli.md anew from --help and build the site into site/, links checked
	$(BIN)/python scripts/build_docs.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

tutorials: .venv/.ready ## run the notebooks of the site and keep their outputs
	$(BIN)/python scripts/run_tutorials.py

gpu: .venv/.ready ## on a machine with a GPU: tests marked gpu and the benchmarks that use it, 8 minutes at most
	$(BIN)/pytest -m gpu tests/test_gpu.py
	timeout 420 $(BIN)/python scripts/gpu_capacity_lm.py

clean: ## remove caches, build products and demo output; leave .venv and runs
	rm -rf demo-out smoke-out site .cache build dist .pytest_cache .hypothesis .ruff_cache .import_linter_cache .benchmarks .coverage
	find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
