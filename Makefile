# Each target does all of its own set-up in .venv; nothing else is needed on a fresh machine but Python 3.11 or later.
PYTHON ?= python3
BIN := .venv/bin
# not compiled to bytecode at once: most of torch is never imported, the rest is compiled when it is
INSTALL := $(BIN)/pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt
export MPLBACKEND := Agg

.PHONY: demo test lint bench docs clean

demo: .venv/demo.stamp
	@mkdir -p demo
	@echo "A swarm of charged particles, 100 systems of five:"
	@$(BIN)/mcegnn rollout charged --systems 100 --integrator yoshida-8 --force -o demo/charged.h5md
	@echo; echo "The solar system, ten years from J2000 with relativity:"
	@$(BIN)/mcegnn rollout solar --relativity --time "10 year" --force -o demo/solar.h5md
	@echo
	@$(BIN)/mcegnn analyse demo/charged.h5md --figure demo/charged.png --force
	@echo
	@$(BIN)/mcegnn analyse demo/solar.h5md --figure demo/solar.png --force
	@echo; echo "Files: demo/charged.h5md and demo/solar.h5md. Pictures: demo/charged.png and demo/solar.png."

test: .venv/test.stamp
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 10

lint: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/test.stamp
	$(BIN)/python tests/benchmarks/run.py

docs: .venv/docs.stamp
	$(BIN)/sphinx-build -q -W --keep-going docs docs/_build/html
	@echo "docs/_build/html/index.html"

clean:
	rm -rf .venv build dist demo docs/_build docs/api/generated *.egg-info

.venv/pip.stamp: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; name one with make PYTHON=...")'
	@echo "setting up .venv (a minute or two the first time) ..."
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/demo.stamp: .venv/pip.stamp setup.cfg
	@$(INSTALL) -e '.[ephemeris]'
	@touch $@

.venv/test.stamp: .venv/pip.stamp setup.cfg
	@echo "installing what the tests need ..."
	@$(INSTALL) -e '.[ephemeris,test,bench,docs]'
	@touch $@

.venv/docs.stamp: .venv/pip.stamp setup.cfg
	@echo "installing what the documentation needs ..."
	@$(INSTALL) -e '.[ephemeris,xtb,docs]'
	@touch $@
