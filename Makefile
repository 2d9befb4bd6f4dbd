# make run                      the whole evaluation on demonstration data
# make run DATA=mirror:FOLDER   the same on the publishers' files
# make test                     every test
# make run PROFILE=profiles/slurm       the same on a cluster (docs/cluster.md)
# make cluster-test             the demonstration through a real one-node Slurm, byte for byte as here
# make bench                    time and memory of everything, into docs/benchmarks.md (ten minutes, its own .bench-venv);
#                               one part: make bench ARGS="--only scaling"; what got slower than at a commit:
#                               make bench ARGS="--against main"; a folder through Slurm: ARGS="--only cluster"
# make fault-test               kills, full disks, changed bytes and other faults; writes docs/reliability.md (half an hour)
# make docs                     the docs as a site in site/ (its own .docs-venv); two minutes, as it runs their code
# make audit                    known vulnerabilities of the pinned packages (needs the network)
# make sbom                     a software bill of materials in build/sbom.cdx.json (CycloneDX)
# Both build .venv from the hashed lock first, once.
PYTHON ?= python3
CORES ?= 2
DATA ?=
PROFILE ?=
VENV := .venv
DONE := $(VENV)/.built
BENCH := .bench-venv
DOCS := .docs-venv
SECURITY := .security-venv
CLUSTER := .cluster
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: run test cluster-test fault-test bench docs verify lint types audit sbom clean
ifdef PROFILE
run: export PYTHONPATH := $(CURDIR)/$(CLUSTER)
run: $(DONE) $(CLUSTER)/.built
	@did run --profile '$(PROFILE)' $(if $(DATA),--data '$(DATA)') $(ARGS)
else
run: $(DONE)
	@did run --cores $(CORES) $(if $(DATA),--data '$(DATA)') $(ARGS)
endif

test: $(DONE)
	@python -m pytest -n $(CORES) $(ARGS)

# Brings up a Slurm of its own on this machine; as root on Debian it installs what is missing first.
cluster-test: export PYTHONPATH := $(CURDIR)/$(CLUSTER)
cluster-test: $(DONE) $(CLUSTER)/.built
	@tests/cluster/install.sh
	@python -m pytest tests/cluster $(ARGS)

# Mounts and control groups need root. DID_FAULT_JOBS: sequences of kills side by side.
fault-test: export DID_FAULT_ALL = 1
fault-test: export DID_FAULT_KILLS ?= 100
fault-test: export DID_FAULT_ICS_KILLS ?= 5
fault-test: export DID_FAULT_JOBS ?= $(CORES)
fault-test: export DID_FAULT_TRIED = $(CURDIR)/build/faults.tsv
fault-test: $(DONE)
	@mkdir -p build && rm -f $(DID_FAULT_TRIED)
	@python -m pytest tests/faults $(ARGS)
	@python tests/faults/report.py $(DID_FAULT_TRIED)

bench: $(BENCH)/.built
	@$(BENCH)/bin/python benchmarks/run.py $(ARGS)

docs: $(DOCS)/.built
	@NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --quiet --strict
	@echo "site/index.html"

verify: $(DONE)
	@did verify

lint: $(DONE) types
	@ruff check src tests benchmarks notebooks docs
	@lint-imports

types: $(DONE)
	@mypy

audit: $(SECURITY)/.built
	@$(SECURITY)/bin/python security/audit.py requirements.lock docs/requirements.txt security/requirements.txt \
		profiles/requirements.txt

sbom: $(SECURITY)/.built
	@mkdir -p build
	@$(SECURITY)/bin/python -W ignore -m cyclonedx_py requirements requirements.lock --pyproject pyproject.toml --output-reproducible \
		--output-format JSON --output-file build/sbom.cdx.json
	@echo "build/sbom.cdx.json"

# Compiled once here: without bytecode every job would start four times slower.
$(DONE): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "error: Python 3.11 to 3.13 is needed; found $$($(PYTHON) --version); run: make PYTHON=python3.12 ..."; exit 1; }
	@rm -rf $(VENV)
	@echo "building $(VENV) from requirements.lock (about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --no-compile -r requirements.lock
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-compile -e .
	@$(VENV)/bin/python -m compileall -q -j 0 $(VENV)/lib src >/dev/null || true
	@touch $@

# Every peer is pinned with all it needs: nothing is resolved here.
$(BENCH)/.built: requirements.lock benchmarks/requirements.txt pyproject.toml
	@rm -rf $(BENCH)
	@echo "building $(BENCH) from requirements.lock and benchmarks/requirements.txt (about two minutes)"
	@$(PYTHON) -m venv $(BENCH)
	@$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r benchmarks/requirements.txt
	@$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# The site runs the code on its pages, so the package is in there too.
$(DOCS)/.built: requirements.lock docs/requirements.txt pyproject.toml
	@rm -rf $(DOCS)
	@echo "building $(DOCS) from requirements.lock and docs/requirements.txt (about a minute)"
	@$(PYTHON) -m venv $(DOCS)
	@$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock \
		-r docs/requirements.txt
	@$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(SECURITY)/.built: security/requirements.txt
	@rm -rf $(SECURITY)
	@$(PYTHON) -m venv $(SECURITY)
	@$(SECURITY)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r security/requirements.txt
	@touch $@

# Alongside .venv and not in it: with the plugin in reach every call of Snakemake asks for Slurm's controller.
$(CLUSTER)/.built: $(DONE) profiles/requirements.txt
	@rm -rf $(CLUSTER)
	@python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --target $(CLUSTER) \
		-r profiles/requirements.txt
	@touch $@

clean:
	rm -rf $(VENV) $(BENCH) $(DOCS) $(SECURITY) $(CLUSTER) site .snakemake logs results data/raw data/interim data/processed data/*/raw \
		data/*/interim data/*/processed
