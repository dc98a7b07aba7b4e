# Each environment is made once, and again when the requirements change.
PYTHON ?= python3
PIP = -m pip install --quiet --disable-pip-version-check
export TF_ENABLE_ONEDNN_OPTS ?= 1
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo wheel test test-slow test-itex test-elsewhere fuzz soak support-hub test-hub lint bench bench-quick clean

demo: .venv/ready
	@.venv/bin/python -c "import skimage; skimage.io.imsave('out/chelsea.jpg', skimage.data.chelsea())"
	.venv/bin/keras-backtrack explain out/chelsea.jpg --out out

wheel: .venv/ready
	.ci/wheel

test: .venv/ready
	.venv/bin/python -m pytest -n 2 --dist worksteal

test-slow: .venv/ready
	.venv/bin/python -m pytest -n 2 --dist worksteal -m slow

# What does not depend on Keras's version is tested once.
KERAS_ALIKE = benchmarks cli devcloud docs fuzz jobs metrics pictures test_house.py test_refusals.py
test-itex: .venv-itex/ready
	.venv-itex/bin/python -m pytest -n 2 --dist worksteal \
		$(addprefix --ignore=tests/,$(KERAS_ALIKE))

# As on a system that lacks what Linux has: tests/elsewhere/sitecustomize.py.
test-elsewhere: .venv/ready
	PYTHONPATH=tests/elsewhere .venv/bin/python -m pytest -n 2 --dist worksteal tests/runtime \
		tests/jobs tests/cli/test_explain.py tests/cli/test_doctor.py \
		tests/benchmarks/test_profiles.py tests/benchmarks/speed/test_growth.py

# For the night: ten minutes of files and pages that nobody has looked at, and of other random
# networks than yesterday's. What is found stays in out/fuzz.
fuzz: .venv/ready
	.venv/bin/python $(PIP) -e ".[fuzz]"
	.venv/bin/python tests/fuzz --minutes 7; files=$$?; \
	seed=$$(date +%s); echo "FRESH_SEED=$$seed"; FRESH_SEED=$$seed timeout 180 \
		.venv/bin/python -m pytest -q -x -k random tests/propagation/test_equals_reference.py; \
	networks=$$?; [ $$files = 0 ] && { [ $$networks = 0 ] || [ $$networks = 124 ]; }

# 5,000 explanations and eight threads: a quarter of an hour.
soak: .venv/ready
	.venv/bin/python tests/soak.py

# Which networks of two libraries are explained, and rightly: half an hour each.
# keras-cv-attention-models needs Keras 2.15, KerasHub Keras 3.
support-hub: .venv-hub/ready .venv-kecam/ready
	.venv-hub/bin/python -m benchmarks libraries keras-hub
	.venv-kecam/bin/python -m benchmarks libraries keras-cv-attention-models

test-hub: .venv-hub/ready .venv-kecam/ready
	.venv-hub/bin/python -m pytest -n 2 --dist worksteal -m "slow or not slow" tests/libraries
	.venv-kecam/bin/python -m pytest -n 2 --dist worksteal -m "slow or not slow" tests/libraries

lint: .venv/ready
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/shellcheck -x devcloud/*.sh .ci/*
	.venv/bin/mypy

bench: .venv/ready
	.venv/bin/python -m benchmarks cost
	.venv/bin/python -m benchmarks growth
	.venv/bin/python -m benchmarks settings

bench-quick: .venv/ready
	.venv/bin/python -m benchmarks cost --quick

clean:
	rm -rf .venv .venv-hub .venv-itex .venv-kecam out

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python $(PIP) -e ".[demo,ray,test]"
	@mkdir -p out && touch $@

.venv-itex/ready: pyproject.toml
	$(PYTHON) -m venv .venv-itex
	.venv-itex/bin/python $(PIP) -e ".[demo,itex,test]"
	@touch $@

.venv-hub/ready: pyproject.toml
	$(PYTHON) -m venv .venv-hub
	.venv-hub/bin/python $(PIP) -e ".[hub,test]"
	@touch $@

.venv-kecam/ready: pyproject.toml
	$(PYTHON) -m venv .venv-kecam
	.venv-kecam/bin/python $(PIP) -e ".[kecam,test]"
	@touch $@
