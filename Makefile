# Every target sets up what it needs first; what is set up already costs nothing. The logic is in scripts: local/ and .ci/.
PORT = 8000
T = tests
BIN = .local/venv/bin
PYTHON = $(BIN)/python
# Two processes, which take the files in order: those that take long come first.
SHARED = -n 2 --no-loadscope-reorder

unexport PYTHONDONTWRITEBYTECODE
export SAM_CLI_TELEMETRY = 0
# What listens on this machine is no business of a company's proxy.
export no_proxy := 127.0.0.1,localhost,$(no_proxy)
export NO_PROXY := $(no_proxy)

help: ## Say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: export STARTED := $(shell date +%s)
run: setup ## Run the whole stack on this machine until Ctrl-C (PORT=8000)
	@$(PYTHON) -m local.stack run --port "$(PORT)"

up: export STARTED := $(shell date +%s)
up: setup ## The same in the background; brings a running one up to date
	@$(PYTHON) -m local.stack up --port "$(PORT)"

down: setup ## Stop what up left running
	@$(PYTHON) -m local.stack down

demo: setup ## Tell the whole story against the running stack, a line a request
	@$(PYTHON) -m local.demo

example: up ## Deploy another team's API beside it, and ask that one as everybody
	@$(PYTHON) -m local.example

rotate-keys: setup ## Have the local stack's next keys sign from now on, or drop leaked ones (COMPROMISED=signing)
	@$(BIN)/rolegate keys rotate $(if $(COMPROMISED),--compromised "$(COMPROMISED)")

invoke: setup ## Run one built function in Lambda's own emulator (F=LoginFunction E=events/login.json)
	@$(PYTHON) -m local.invoke "$(F)" "$(E)"

test: test-setup ## Run every test with coverage, or some without (T=tests/unit)
	@$(PYTHON) -m pytest $(if $(filter tests,$(T)),$(SHARED) --cov --cov-config=pyproject.toml examples) $(T)

faults: test-setup ## Show the table of faults in docs/refresh.md, each by its test (EXAMPLES=2000 for more histories)
	@$(PYTHON) -m pytest tests/faults tests/unit/test_flows.py tests/unit/test_endings.py

guesses: export NAMES := 5000
guesses: test-setup ## Guess passwords in crowds, 5,000 names from one network among them, and count what reaches bcrypt
	@$(PYTHON) -m pytest tests/faults/test_guessing.py

check: format lint types imports template test ## Everything that CI runs: five checks, then every test

format: setup ## Check the format of the code (ruff format mends it)
	$(BIN)/ruff format --check

lint: setup ## Lint the code
	$(BIN)/ruff check

types: setup ## Check the types
	$(BIN)/mypy

imports: setup ## Check that modules import only downward
	$(BIN)/lint-imports

template: setup ## Lint the templates
	$(BIN)/cfn-lint template.yaml authorizer.yaml examples/reports-api/template.yaml
	$(BIN)/sam validate --lint --region us-east-1
	$(BIN)/sam validate --lint --region us-east-1 --template authorizer.yaml
	$(BIN)/sam validate --lint --region us-east-1 --template examples/reports-api/template.yaml

bench: setup ## Measure the authorizer beside the usual one, and login beside a bare bcrypt check, as ratios
	@$(PYTHON) -m bench.authorizer
	@$(PYTHON) -m bench.login

calibrate: setup ## Time a password check at each BcryptCost here, and say what it would be on Lambda
	@$(PYTHON) -m local.calibrate

common-passwords: setup ## Make the list of common passwords anew (LISTS="most-used.txt others.txt", one a line)
	@$(PYTHON) -m local.common_passwords $(LISTS)

build: setup ## Build the template for both architectures
	@$(PYTHON) -m local.build

deploy: setup ## Build, and deploy to your AWS account; asks for what it needs
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/sam build
	$(BIN)/sam deploy --guided

setup:
	@local/setup

test-setup: setup
	@local/setup tests

.PHONY: help run up down demo example rotate-keys invoke test faults guesses check format lint types imports template bench calibrate common-passwords build deploy setup test-setup
.DEFAULT_GOAL = help
