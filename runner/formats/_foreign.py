"""What people hand to leakrun that it does not read: told by name, with the file to give instead.

Each is known by what its tool always writes, near the beginning of the file.
"""

import re

_THE_FILE = "give the file that it was made of"
_VALGRIND = re.compile(rb"==[0-9]+== *([A-Z]\S+), an? [a-z]")
_VALGRINDS = {
    b"Massif": "massif's figures are in massif.out.PID: give that",
    b"DHAT": "DHAT's figures are in dhat.out.PID: give that",
}
_OTHER_TOOL = "it tells nothing of memory that is lost: run the program under memcheck (`leakrun PROGRAM`)"
_KNOWN = (
    (rb"^ms_print arguments: ", "ms_print's text", f"{_THE_FILE}: massif.out.PID"),
    (rb'^reading file "[^"\n]*" - please wait', "heaptrack_print's text", f"{_THE_FILE}: heaptrack.PROGRAM.PID.zst or .gz"),
    (rb"^ +Address +Size +Caller$", "what the script mtrace says", f"{_THE_FILE}: the one that MALLOC_TRACE names"),
    (rb"^Total: [0-9.]+ (?:[kMG]?B|objects)$", "what pprof or jeprof says", f"{_THE_FILE}: the .heap"),
    (
        rb"^(?:# callgrind format|version: 1\ncreator: |events: )",
        "callgrind's format",
        "of an xtree give the one whose name ends in .ms",
    ),
    (rb"stacks with outstanding allocations:$", "bcc's memleak", "attach to the process instead: `leakrun attach -p bpf PID`"),
    (rb"^(?:Address +Kbytes|[0-9a-f]{8,16} +[0-9]+K [-r][-w][-x])", "pmap's text", "save /proc/PID/smaps, which says more"),
    (
        rb"^--- (?:heapz|contentionz|threadz)\b",
        "a profile of a Java or C++ server",
        "leakrun reads heap profiles of native code",
    ),
    (rb"\A\x00{8}\x03\x00{15}", "a CPU profile", "give a heap profile: HEAPPROFILE=PREFIX"),
    (rb"^goroutine profile: ", "a list of goroutines", "give the heap profile (/debug/pprof/heap)"),
    (
        rb"___ Begin jemalloc statistics ___",
        "jemalloc's statistics",
        "give a heap profile: MALLOC_CONF=prof:true,prof_final:true",
    ),
    (rb"^MALLOC: +[0-9]+ ", "tcmalloc's statistics", "give a heap profile: HEAPPROFILE=PREFIX"),
    (rb"^(?:Dr\. Memory|~~Dr\.M~~) ", "Dr. Memory's report", "leakrun reads what tools of Linux write"),
    (rb"^Detected memory leaks!$", "a report of Windows' C runtime", "leakrun reads what tools of Linux write"),
    (rb"^Process [0-9]+: [0-9]+ leaks? for [0-9]+ total leaked bytes", "what macOS's leaks says", "give LeakSanitizer's report"),
    (
        rb"(?:WARNING|ERROR): (?:Thread|Memory|UndefinedBehavior)Sanitizer: |: runtime error: ",
        "another sanitizer's report",
        "build with -fsanitize=address or =leak",
    ),
)


def foreign(head: bytes) -> tuple[str, str] | None:
    """What the file is that begins with `head`, and what to do; None where that is not known either."""
    if banner := _VALGRIND.search(head):
        tool = banner[1]
        return f"the log of valgrind's {tool.decode('ascii', 'replace')}", _VALGRINDS.get(tool, _OTHER_TOOL)
    return next(((what, hint) for mark, what, hint in _KNOWN if re.search(mark, head, re.MULTILINE)), None)
