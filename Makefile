# Each target is a line or two; what takes thought is in scripts/.
VENV := .venv
PYTHON := $(VENV)/bin/python

.PHONY: run test fuzz soak scale e2e lint generate bench clean

# The main job, no cluster needed: demo source, gateway, events in the terminal.
run: $(VENV)/.run
	@$(PYTHON) scripts/quickstart.py

test: lint
	@scripts/test

# Each target of tests/fuzz for so many seconds; make test tries some examples of each.
FUZZ_SECONDS := 60
fuzz: $(VENV)/.test
	@FUZZ_SECONDS=$(FUZZ_SECONDS) $(PYTHON) -m pytest tests/fuzz $(ARGS)

# The operator under churn and faults, ten minutes unless ARGS="--minutes 3"; `pytest -m soak` has the long proofs.
soak: $(VENV)/.test
	@$(PYTHON) tests/apiserver/soak.py $(ARGS)

# The operator with ten thousand SseApis, a quarter of an hour; ARGS="--help" tells what can be chosen.
scale: $(VENV)/.test
	@$(PYTHON) tests/apiserver/scale.py $(ARGS)

# The whole on a kind cluster: images, chart, tests/e2e; ARGS are pytest's.
e2e: $(VENV)/.test
	@scripts/e2e $(ARGS)

lint: $(VENV)/.test
	@scripts/lint

# CRDs and reference tables from the models; the chart's copies, schema and README from them and its values.
generate: $(VENV)/.test
	@$(PYTHON) scripts/generate.py && $(PYTHON) scripts/chart.py

$(VENV)/.%: pyproject.toml requirements/proxy.txt requirements/test.txt scripts/venv
	@scripts/venv $*

# Ours and other proxies side by side (bench/install-peers gets those); ARGS="--help" tells what can be chosen.
bench: $(VENV)/.run
	@PYTHONPATH=bench:scripts $(PYTHON) -m sse_bench $(ARGS)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
