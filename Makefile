# Every target is one line of tools/environment.py, which runs without make as well:
#   python3 tools/setup.py demo
PYTHON ?=
export PYTHON
INTERPRETER := $(or $(PYTHON),$(shell command -v python3 || command -v python))
RUN = @$(if $(shell command -v $(INTERPRETER)),,echo "dragoman: no Python here ($(or $(PYTHON),python3)); install 3.11 or newer, or name it: make demo PYTHON=/path/to/python3" >&2; exit 1;)$(INTERPRETER) tools/setup.py

PROOFS = prove prove-breaks prove-kill9 prove-approvals prove-isolation prove-provider prove-replay prove-pytest prove-clients prove-gateway prove-translate faults soak scale
BENCHES = bench bench-check

.PHONY: $(PROOFS) $(BENCHES) help setup demo fmt lint test browser interop docs examples console check release
.DEFAULT_GOAL := help

help:
	$(RUN) help
demo:
	$(RUN) demo $(if $(PORT),--port $(PORT)) $(ARGS)
$(PROOFS) $(BENCHES) setup fmt lint test browser interop docs examples console check release:
	$(RUN) $@ $(ARGS)
