"""What a frame is to a person who looks for a leak: their own code, a library's, or machinery that nobody would change.

The object (module) decides where it is known. Where it is not (massif prints none beside a line) the path does,
and last the name: glibc built with debug info looks like project code except for its paths (`./malloc/malloc.c`,
`csu/../sysdeps/...`), and inlined members of C++ containers carry no namespace but lie in /usr/include.
"""

import re
from enum import Enum
from functools import lru_cache
from pathlib import PurePosixPath

from runner.model import BELOW_THRESHOLD, AnswerFrame, Frame
from runner.names import without_parameters


class Role(Enum):
    """What a frame is, for blame."""

    PROJECT = "project"
    LIBRARY = "library"  # a system's library that is not libc: blamed where nothing of the project is there
    MACHINERY = "machinery"  # allocator, C and C++ runtime, loader, profiler: never to blame while anything else is there
    NAMELESS = "nameless"  # no function, no file: a library that was unloaded, or one without symbols
    HIDDEN = "hidden"  # what a tool summed up as too small to list


_MACHINERY_OBJECTS = re.compile(
    r"""^(?: ld-linux.* | ld-[\d.]+\.so.* | ld-musl.* | linux-vdso.* | linux-gate.* | \[vdso\]
        | lib(?: c | pthread | dl | m | rt | resolv | util | anl | nsl | nss_\w+ | c_malloc_debug | BrokenLocale | thread_db
             | stdc\+\+ | supc\+\+ | gcc_s | c\+\+ | c\+\+abi | unwind
             | tcmalloc\w* | profiler | jemalloc | mimalloc\w* | asan | lsan | tsan | ubsan | heaptrack\w* | memusage )
          (?: [-.][\w.+-]* )? \.so .*
        | lib(?: System | system_\w+ | dyld | objc | dispatch | xpc | c\+\+ | c\+\+abi | unwind ) (?: \.\w+ )? \.dylib | dyld
        | libclang_rt\..* | vgpreload_.* | .*-amd64-linux | heaptrack\w* )$""",
    re.VERBOSE,
)
_SYSTEM_DIRECTORIES = re.compile(
    r"^(?:/usr)?/lib(?:32|64|x32)?/(?:[^/]+$|[\w]+-linux-[\w]+/|gcc/|debug/|valgrind/)|^/usr/libexec/valgrind/"
    r"|^/usr/lib/system/|^/System/|^/system/lib(?:64)?/|^/apex/"  # macOS, Android
)
# What a sanitizer names without its path, as it does on macOS.
_MACOS_LIBRARIES = re.compile(
    r"(?:lib(?:sqlite3|z|xml2|curl|iconv|icucore)(?:\.\w+)*\.dylib"
    r"|(?:Core(?:Foundation|Services|Text|Graphics|Data|Audio|Media|Video|Image)|CF(?:Network|OpenDirectory)|Foundation|AppKit"
    r"|UIKit(?:Core)?|QuartzCore|Security|Metal|IOKit|HIToolbox|SkyLight|LaunchServices|AVFoundation|AVFCore))$"
)
_GLIBC_ROOMS = (
    "argp|assert|bits|crypt|csu|ctype|debug|dirent|dlfcn|elf|gmon|gnulib|grp|gshadow|hesiod|htl|hurd|iconv|iconvdata|inet|intl|"
    "io|libio|locale|localedata|login|malloc|math|misc|nis|nptl|nptl_db|nscd|nss|ports|posix|pwd|resolv|resource|rt|setjmp|"
    "shadow|signal|socket|soft-fp|stdio-common|stdlib|string|sunrpc|support|sysdeps|sysvipc|termios|time|timezone|wcsmbs|wctype"
)
_GLIBC_PATHS = re.compile(
    rf"""(?:^|/)\.\.?/(?:{_GLIBC_ROOMS})/ | ^(?:{_GLIBC_ROOMS})/\.\.?/   # glibc's own debug info: relative, with a dot
       | ^/build/ | ^/usr/src/(?:debug/)?(?:glibc|gcc)
       | (?:^|/)(?:libstdc\+\+-v3|libcxx|libcxxabi|libgcc|libsanitizer|compiler-rt)/
       | (?:^|/)vg_replace_\w+\.c$ | (?:^|/)gperftools[^/]*/src/""",
    re.VERBOSE,
)
_GLIBC_FILES = re.compile(rf"(?:{_GLIBC_ROOMS})/[\w/.-]+$")
_CXX_HEADER_PATHS = re.compile(r"/c\+\+/v?\d[\w.]*/")  # of libstdc++ and libc++, wherever the toolchain lies
_RUST_PATHS = re.compile(
    r"(?:(?:^|/)library/(?:alloc|core|std)/src/|(?:^|/)src/lib(?:alloc|core|std)/|^/rustc/[0-9a-f]+/).*\.rs$"
)  # its standard library
# Go's standard library: /usr/local/go/src/net/http/server.go, c:/go/src/runtime/proc.go, .../go/1.21.0/x64/src/os/file.go; with
# -trimpath net/http/server.go
_GO_PATHS = re.compile(
    r"(?:^|(?:^|/)go(?:lang)?(?:-?\d[\w.-]*)?/(?:[\d.]+/\w+/|libexec/)?src/(?:pkg/)?)(archive|bufio|bytes|cmp|compress|container|context|crypto"
    r"|database|debug|embed|encoding|errors|expvar|flag|fmt|go|hash|html|image|index|internal|io|iter|log|maps|math|mime|net|os"
    r"|path|plugin|reflect|regexp|runtime|slices|sort|strconv|strings|sync|syscall|testing|text|time|unicode|unique|vendor)"
    r"/[^@]*\.(?:go|s)$"
)
_RUST_FILES = re.compile(r"(?:boxed|raw_vec)\.rs$")  # the same where a tool prints no directories: new<T> (boxed.rs:254)
_HEADER_PATHS = re.compile(r"^/usr/(?:local/)?include/|^/usr/lib/gcc/|^/usr/lib/llvm[^/]*/")
# Libraries of headers: their code lies in the program itself, and often without a directory, or without lines.
_HEADER_LIBRARIES = re.compile(r"(?:boost|Eigen|absl|asio|cereal|fmt|nlohmann|pybind11|rapidjson|spdlog|tbb)::")
_INSTALLED_HEADERS = re.compile(
    r"^/(?:usr|opt|nix/store|home/linuxbrew)/(?:.*/)?include/|\.sdk/usr/include/"
    r"|/(?:\.conan2?|vcpkg_installed|vcpkg/installed|\w*conda\w*)/(?:.*/)?include/"
)
_BARE_HEADER = re.compile(r"[^/]+\.(?:h|hh|hpp|hxx|ipp|inl|tcc|txx)$")
_ALLOCATOR_NAMES = re.compile(
    r"""(?: malloc | calloc | realloc | reallocarray | reallocf | c?free | memalign | aligned_alloc | posix_memalign | p?valloc
        | strn?dup | wcsdup | mmap(?:64)? | mremap | munmap | s?brk
        | sysmalloc | alloc_perturb | do_malloc\w* | new_heap | _int_\w+ | _mid_memalign | malloc_consolidate | tcache_init
        | arena_get2 | (?:m|re)alloc_hook_ini )$
      | (?:.*::)?operator\ (?:new|delete)""",
    re.VERBOSE,
)
# What hands on the memory that it has from an allocator: the standard containers, and the allocators that languages have.
_CONTAINERS = re.compile(
    r"""<? (?: (?:std|__gnu_cxx)::(?:__\w+::)? (?: \w*[aA]lloc\w* | w?string | basic_string | vector | deque | list | map | set
        | unordered_\w+ | _Vector_base | _Deque_base | _List_base | _Rb_tree | _Hashtable | shared_ptr | make_\w+ ) \b
      | (?:std|core|alloc)::alloc:: | alloc::(?:raw_vec|vec|string|boxed|rc|sync|collections):: )
      | __(?:rust|rdl|rg)_\w*alloc""",
    re.VERBOSE,
)
_ALIAS = re.compile(r"^(?:__interceptor_|wrap_+|__GI_+|__libc_|_+)")
_MACHINERY_NAMES = re.compile(
    r"""std:: | __gnu_cxx:: | __cxxabiv1:: | tcmalloc:: | MallocHook | HeapProfile | base::internal:: | __interceptor_
      | __(?:sanitizer|[almt]san|hwasan|ubsan)::  # what a sanitizer does for itself
      | (?:tc|je|mi|__libc|__GI|__asan|__lsan|__wrap|__real)_+\w*(?:alloc|free|memalign|new|delete|mmap|brk|dup)\w*$
      | <std:: | __(?:rust|rdl|rg)_\w*alloc\w*$
      | (?:_rjem_)?je_(?:prof|arena|tcache|tsd|large|malloc|calloc|realloc)\w*$ | prof_backtrace_impl$
      | _Zn[wa][mj] | _Zd[la]Pv
      | _start$ | _init$ | _dl_\w+ | _IO_\w+ | _nl_\w+ | dl_(?:main|open_worker\w*)$ | call_init$ | start_thread$ | clone3?$""",
    re.VERBOSE,
)
_RUST_NAMES = re.compile(
    r"<?alloc::(?:alloc|boxed|collections|raw_vec|rc|slice|string|sync|vec)::|<?core::(?:alloc|iter|mem|ops|ptr|slice)::"
)


def function_of(frame: Frame) -> str | None:
    """The function without its parameters; None where the frame has no name."""
    if not frame.signature or frame.signature == "???":
        return None
    return without_parameters(frame.signature)


def role_of(frame: Frame, program: str = "") -> Role:
    """What `frame` is. `program` is the main program as its command names it: the project, wherever it lies."""
    if frame == BELOW_THRESHOLD:
        return Role.HIDDEN
    function = function_of(frame)
    if function is None and frame.file is None and (frame.module is None or not _is_projects(frame.module, program)):
        return Role.MACHINERY if frame.module and _is_machinery(frame.module) else Role.NAMELESS
    if function is not None and (
        _ALLOCATOR_NAMES.match(function)
        or _MACHINERY_NAMES.match(function)
        or (_RUST_NAMES.match(function) and _may_be_rust(frame))
    ):
        return Role.MACHINERY
    ours = _is_projects(frame.module, program)
    if frame.file is not None:
        if (
            _CXX_HEADER_PATHS.search(frame.file)
            or _RUST_PATHS.search(frame.file)
            or (_RUST_FILES.match(frame.file) and "::" not in (function or "").partition("<")[0])
            or (not ours and _GLIBC_PATHS.search(frame.file))
        ):
            return Role.MACHINERY
        if go := _GO_PATHS.search(frame.file):
            return Role.MACHINERY if go[1] == "runtime" else Role.LIBRARY
        if _HEADER_PATHS.match(frame.file):
            return Role.LIBRARY
    if function is not None and _HEADER_LIBRARIES.match(function) and _is_no_projects_file(frame.file):
        return Role.LIBRARY
    if frame.module is not None and not ours:
        return Role.MACHINERY if _is_machinery(frame.module) else Role.LIBRARY
    if (
        function is not None
        and function.startswith("__")
        and (
            frame.file is None  # a static program carries libc inside
            or (frame.module is None and _GLIBC_FILES.match(frame.file))  # a sanitizer names libc's files and not libc
        )
    ):
        return Role.MACHINERY
    return Role.PROJECT


def _is_no_projects_file(file: str | None) -> bool:
    """Not known to be: who works on such a library has it in a directory of their own."""
    return file is None or _BARE_HEADER.match(file) is not None or _INSTALLED_HEADERS.search(file) is not None


def _may_be_rust(frame: Frame) -> bool:
    """Namespaces of C++ may be called as Rust's crates are: what is known of C++ is another ending of the file, or parameters."""
    if frame.file is not None:
        return frame.file.endswith(".rs")
    return not (frame.signature or "").endswith((")", " const"))


def is_allocator(frame: Frame) -> bool:
    """Whether it hands out memory to whoever calls it: malloc, strdup, operator new, a sanitizer's or glibc's name for one."""
    function = function_of(frame)
    return function is not None and _ALLOCATOR_NAMES.match(_ALIAS.sub("", function)) is not None


def asks_for_others(frame: Frame) -> bool:
    """Whether it is an allocator or a container: a stack that ends there ends before whoever wanted the memory."""
    return is_allocator(frame) or _CONTAINERS.match(function_of(frame) or "") is not None


def is_machinery(shown: AnswerFrame, program: str = "") -> bool:
    """Whether a frame of an answer is machinery that nobody would change."""
    return role_of(Frame(shown.signature, shown.file, shown.line, shown.module), program) is Role.MACHINERY


@lru_cache(maxsize=4096)
def _is_machinery(module: str) -> bool:
    return _MACHINERY_OBJECTS.match(PurePosixPath(module).name) is not None


@lru_cache(maxsize=4096)
def _is_projects(module: str | None, program: str) -> bool:
    """Known, and not of the system. The program is the project even below /usr."""
    if not module:
        return False
    name = PurePosixPath(module).name
    if _is_machinery(module):
        return False
    if name == PurePosixPath(program).name:
        return True
    return not _SYSTEM_DIRECTORIES.match(module) and not (name == module and _MACOS_LIBRARIES.match(name))
