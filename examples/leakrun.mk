# Leak targets for the Makefile of a project of one's own. In it:
#
#     APP  := build/server                the program; rebuilt first where the Makefile has a rule for it
#     ARGS := --port 7000                 its arguments
#     include path/to/leakrun.mk
#
# and then:
#
#     make leak-memcheck                  what is lost, and errors of use
#     make leak-massif                    what grows
#     make leak-heapprofile               what grows, at little cost: for servers; Ctrl-C ends it
#     make leak PROFILE=massif-stacks     any other profile, or a YAML file of one's own
#
# Further variables: LEAKRUN (the command, default leakrun) and LEAKRUN_FLAGS (options for it: --for 30s --error-exitcode 9).
# Each can be given on the command line as well: make leak-massif ARGS="--port 7001". Build with -g, or there are no lines to name.

LEAKRUN ?= leakrun
LEAKRUN_FLAGS ?=
LEAKRUN_TARGETS := leak-memcheck leak-massif leak-heapprofile
PROFILE ?= memcheck

leakrun_goal := $(.DEFAULT_GOAL)# whichever it was, it is not to be one of ours

# A name without a slash means the file here, not a command on the PATH.
leakrun_command = $(LEAKRUN) -p $(1) $(LEAKRUN_FLAGS) -- $(if $(findstring /,$(APP)),,./)$(APP) $(ARGS)
leakrun_need_app = $(if $(APP),,$(error Which program? Say it: make $@ APP=./app ARGS="..."))

leak: $(APP)
	$(leakrun_need_app)$(call leakrun_command,$(PROFILE))

$(LEAKRUN_TARGETS): leak-%: $(APP)
	$(leakrun_need_app)$(call leakrun_command,$*)

.PHONY: leak $(LEAKRUN_TARGETS)
.DEFAULT_GOAL := $(leakrun_goal)
