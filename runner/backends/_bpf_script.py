"""The program that bpftrace runs in the kernel: blocks by address, and bytes by the stack that asked for them.

Probes of user space are the machine's, not a process's: each is for whoever calls that function, so that each begins with a
look at the pid. Stacks are walked by frame pointers: what bpftrace itself gives for a stack can't be stored and used again.

    @sp @ret @bp @size @out   by thread: the outermost call under way, where its return address lies and what it is
    @site @bytes              by address: the block's stack, and its size
    @allocated @freed         by stack: count and sum since the start; what is printed
    @frame @below             by stack: its outermost frame, and the stack without it; printed when one is new. A stack's
                              number is a hash of its frames, from the leaf on; 1 is for those beyond the bound
"""

from collections.abc import Sequence
from typing import NamedTuple

DEPTH = 16  # frames: so deep is a map of the C++ library in a program that is not optimised
_DEEPEST_FRAME = 1 << 20  # bytes between two frame pointers of one stack
_FAILED = 0xFFFFFFFFFFFFF000  # from here on what mmap() returns is an error
_PRIME = 1099511628211  # FNV-1a's, to make one number of many
_THREAD_MAPS = ("sp", "ret", "bp", "size", "out")
OVERFLOW = 1  # the number of the stack that stands for all beyond the bound


class Function(NamedTuple):
    """An entry point of an allocator: where its arguments are.

    size   an expression of arg0, arg1 ...: bytes asked for; empty for one that frees
    old    the argument that is a block which is freed by it
    out    the argument that says where the pointer is written; else it is what is returned
    """

    size: str = ""
    old: str = ""
    out: str = ""


_NEW, _DELETE = Function("arg0"), Function(old="arg0")
HEAP: dict[str, Function] = {
    "malloc": Function("arg0"),
    "calloc": Function("arg0 * arg1"),
    "realloc": Function("arg1", old="arg0"),
    "memalign": Function("arg1"),
    "aligned_alloc": Function("arg1"),
    "posix_memalign": Function("arg2", out="arg0"),
    "free": _DELETE,
    "mallocx": Function("arg0"),
    "rallocx": Function("arg1", old="arg0"),
    "dallocx": _DELETE,
    "sdallocx": _DELETE,
}
_ALIGNED, _NOTHROW = "St11align_val_t", "RKSt9nothrow_t"
_OPERATORS_NEW = tuple(f"_Zn{kind}m{how}" for kind in "wa" for how in ("", _NOTHROW, _ALIGNED, _ALIGNED + _NOTHROW))
_OPERATORS_DELETE = tuple(f"_Zd{kind}Pv{how}" for kind in "la" for how in ("", "m", _NOTHROW, _ALIGNED, "m" + _ALIGNED))
HEAP |= dict.fromkeys(_OPERATORS_NEW, _NEW) | dict.fromkeys(_OPERATORS_DELETE, _DELETE)
MAPPINGS: dict[str, Function] = {
    "mmap": Function("arg1"),
    "mremap": Function("arg2", old="arg0"),
    "munmap": _DELETE,
}
# Functions of the C and C++ libraries that allocate for their caller, and have no frame pointers by which to find it. Each
# probe takes a tenth of a second to compile, so that only the usual ones are here.
BETWEEN = (
    *("reallocarray", "strdup", "strndup", "asprintf", "__asprintf_chk", "getline", "getdelim", "fopen", "fdopen"),
    *("open_memstream", "opendir", "realpath", "regcomp"),
)
_STRING = "_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE"
BETWEEN_OF_CXX = (  # std::string is compiled into the library; other containers are in the program itself
    *("_Znwm", "_Znam", "_ZnwmSt11align_val_t", "_ZnamSt11align_val_t"),
    *(f"{_STRING}{each}" for each in ("9_M_createERmm", "9_M_mutateEmmPKcm", "9_M_appendEPKcm", "9_M_assignERKS4_")),
    *(f"{_STRING}{each}" for each in ("10_M_replaceEmmPKcm", "12_M_constructEmc", "7reserveEm", "C1ERKS4_", "C1EPKcRKS3_")),
)
MAPPINGS_BETWEEN = ("malloc", "calloc", "realloc", "free", "pthread_create")


class Place(NamedTuple):
    """A function in a file. `what` is None for one that only stands between the allocator and who wanted the memory."""

    path: str
    name: str
    what: Function | None


def script(pid: int, places: Sequence[Place], text: Sequence[tuple[int, int]], every: float, depth: int = DEPTH) -> str:
    """The whole program. `text`: from where to where the process's code lies; `every`: seconds between two snapshots."""
    kept = (*_THREAD_MAPS, "site", "bytes", "frame", "below")
    # bpftrace must have seen of what type a map is before it is read. @frame is the first to be full.
    typed = " ".join(f"@{name}[0] = (uint64)0; delete(@{name}[0]);" for name in kept)
    parts = [
        f"BEGIN {{ {typed} @frame[{OVERFLOW}] = (uint64){OVERFLOW}; @frame[2] = (uint64)2; @new = (uint64)1; }}"
    ]  # it comes last, when all is attached
    # They are attached from the last to the first: what frees before what allocates, and what records last of all. And taken away
    # in that order too, so that what is counted then is one-sided: END prints nothing.
    returning = ", ".join(_point("uretprobe", place) for place in places if place.what is not None and place.what.size)
    parts.append(f"{returning} /pid == {pid} && @size[tid]/ {{ {_recorded(text, depth)} {_cleared()} }}")
    parts += [_entry(pid, place) for place in sorted(places, key=_frees)]
    parts.append(f"interval:ms:{max(round(every * 1000), 10)} {{ {_SNAPSHOT} }}")
    parts.append(f"END {{ {' '.join(f'clear(@{name});' for name in (*kept, 'allocated', 'freed', 'untracked', 'new', 'at'))} }}")
    return "\n".join(parts) + "\n"


def _frees(place: Place) -> bool:
    return place.what is not None and bool(place.what.old)


# What was freed is read first: a block that is freed in between then counts as live, and not as freed and never allocated.
# bpftrace reads a map when it comes to print it, which is later than it was told to, above all while it still attaches. So the
# time is printed out of a map too: snapshots that were due in the meantime come out as one, at the time of the last.
_SNAPSHOT = (
    "@at = nsecs; print(@freed); print(@allocated); if (@new) { @new = 0; print(@frame); print(@below); } print(@untracked);"
    " print(@at);"
)
_FORGOTTEN = "$s = @site[$p]; if ($s) { @freed[$s] = stats(@bytes[$p]); delete(@bytes[$p]); delete(@site[$p]); }"


def _point(kind: str, place: Place) -> str:
    return f'{kind}:"{place.path}":"{place.name}"'


def _entry(pid: int, place: Place) -> str:
    """At the function's first instruction: the return address lies on top of the stack, the frame pointer is the caller's.

    A call within one that is under way belongs to that one. It is under way as long as its return address is in its place:
    another call from the same function would have overwritten it.
    """
    body = []
    if place.what is not None and place.what.old:
        body.append(f"$p = (uint64){place.what.old}; {_FORGOTTEN}")
    if place.what is None or place.what.size:
        body.append(
            '$sp = (uint64)reg("sp"); $top = (uint64)@sp[tid]; $within = (uint64)0;'
            " if ($top > $sp) { if (*(uint64*)uptr($top) == @ret[tid]) { $within = (uint64)1; } }"
            ' if ($within == 0) { @sp[tid] = $sp; @ret[tid] = *(uint64*)uptr($sp); @bp[tid] = (uint64)reg("bp"); }'
        )
    if place.what is not None and place.what.size:
        size = place.what.size.replace("arg", "(uint64)arg")
        body.append(f"@size[tid] = {size} + 1; @out[tid] = (uint64){place.what.out or 0};")
    return f"{_point('uprobe', place)} /pid == {pid}/ {{ {' '.join(body)} }}"


def _recorded(text: Sequence[tuple[int, int]], depth: int) -> str:
    """When the function returns: keep the block, unless there is none, with the stack of the outermost call."""
    kept = (
        "@site[$p] = $h; if (@site[$p]) { @bytes[$p] = @size[tid] - 1; @allocated[$h] = stats(@size[tid] - 1); }"
        " else { @untracked = count(); }"
    )
    return (
        "$p = (uint64)retval; $o = @out[tid];"
        " if ($o) { if ($p) { $p = (uint64)0; } else { $p = *(uint64*)uptr($o); } }"
        f" if ($p != 0 && $p < {_FAILED}) {{ {_walked(text, depth)} {kept} }}"
    )


def _walked(text: Sequence[tuple[int, int]], depth: int) -> str:
    """The number of the stack, $h. What a frame pointer may not be ends the walk: it is another thing then."""
    inside = " || ".join(f"$f - {start:#x} < {end - start:#x}" for start, end in text)
    full = f"if (!@frame[$n]) {{ $n = (uint64){OVERFLOW}; $i = (uint64){depth}; }}"
    step = f"$n = $h * {_PRIME} + $f; if (!@frame[$n]) {{ @frame[$n] = $f; @below[$n] = $h; @new = (uint64)1; {full} }} $h = $n;"
    return (
        "$h = (uint64)0; $f = (uint64)@ret[tid]; $n = (uint64)0; $i = (uint64)1;"
        f" {step}"
        " $sp = (uint64)@sp[tid]; $b = (uint64)@bp[tid];"
        f" while ($i < {depth}) {{"
        f" if ($b >= $sp && $b - $sp < {_DEEPEST_FRAME}) {{"
        " $f = *(uint64*)uptr($b + 8);"
        f" if ({inside}) {{ $i++; {step} $sp = $b; $b = *(uint64*)uptr($b); }} else {{ $i = (uint64){depth}; }}"
        f" }} else {{ $i = (uint64){depth}; }} }}"
    )


def _cleared() -> str:
    return " ".join(f"delete(@{name}[tid]);" for name in _THREAD_MAPS)
