"""leakrun runs a native program under a native memory profiler, keeps what it wrote, and says which line leaks.

Glossary: one word, one thing, in the code, the messages and the documents.

profile        a YAML file: which backend, its options, when to take snapshots, how to stop
backend        the driver of one native tool: massif, memcheck, heapprofile (tcmalloc) ...
target         what is measured: a command line to launch, or the pid of a process to attach to
plan           plain data: argv, environment, sidecars, triggers, expected outputs
trigger        when (interval, RSS step, request, before the stop) -> action (send a signal, run a command)
outcome        how the target ended: exit code or signal, who stopped it, usage, what was snapped
run directory  everything that one run left: manifest, native outputs, maps, names, findings
recording      what one process's outputs say in the neutral model: interned stacks and snapshots over time
snapshot       one moment: totals, and bytes and blocks per stack
loss           memory that a tool which follows pointers found lost (or still reachable) at the end
defect         an error of use that memcheck saw: an invalid read, a mismatched free ...
finding        one conclusion: a site, its kind, its figures, the evidence for it
site           the frame blamed, with its call stack
verdict        leaking, growing, clean or inconclusive, for a whole run
"""

__version__ = "0.1.0"
