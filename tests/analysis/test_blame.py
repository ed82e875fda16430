import pytest

from runner.analysis.blame import HIDDEN, Turnover, blame
from runner.analysis.frames import Role, role_of
from runner.model import BELOW_THRESHOLD, Frame, Recording
from tests.analysis.recordings import APP, LIBC, MAIN, MALLOC, code


def blamed(stack, *, wrappers=(), command=(APP,)):
    recording = Recording("memcheck", command=list(command))
    recording.table.intern(stack)
    blamer = blame([recording], [None], wrappers)[0]
    return None if blamer.positions[0] == HIDDEN else blamer.frame(0)


def blamed_lines(stacks, fates=None, *, losses=False):
    """The blamed line of each stack; fates are (kept, had) bytes."""
    recording = Recording("x", command=[APP])
    for stack in stacks:
        recording.table.intern(stack)
    if losses:
        recording.losses = [object()]
    turnover = None if fates is None else Turnover([kept for kept, _ in fates], [had for _, had in fates])
    blamer = blame([recording], [turnover])[0]
    return [blamer.frame(number).line for number in range(len(stacks))]


LEAF = code("table_grow", 7)
CXX = "/usr/include/c++/12/bits/"


@pytest.mark.parametrize(
    "machinery",
    [
        [MALLOC],
        [Frame("strdup", None, None, LIBC), MALLOC],
        [Frame("strdup", "string/./string/strdup.c", 42)],  # massif, with libc's debug info
        [Frame("__scandir64_tail", "dirent/./scandir-tail-common.c", 69)],
        [Frame("__libc_start_call_main", "csu/../sysdeps/nptl/libc_start_call_main.h", 58)],
        [Frame("operator new(unsigned long)", None, None, "/usr/libexec/valgrind/vgpreload_memcheck-amd64-linux.so")],
        [Frame("allocate", CXX + "new_allocator.h", 137), Frame("push_back", CXX + "stl_vector.h", 1294)],
        [Frame("std::vector<int, std::allocator<int> >::reserve(unsigned long)", CXX + "vector.tcc", 70, APP)],
        [Frame("void std::vector<int>::_M_realloc_insert<int>(int&&)", "vector.tcc", 453)],  # massif without full paths
        [Frame("std::make_unique<Node>()", None, None, "/usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.30")],
        [Frame("tc_malloc", None, None, "/usr/lib/x86_64-linux-gnu/libtcmalloc.so.4.5.9")],
        [Frame("je_malloc_default", None, None, "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2")],
        [Frame(None, None, None, "/usr/lib/x86_64-linux-gnu/libtcmalloc.so.4", 0x7F00)],
        [Frame("Pool::operator new(unsigned long)", "/home/me/app/pool.h", 9, APP)],
        [Frame("g_strdup", None, None, "/usr/lib/x86_64-linux-gnu/libglib-2.0.so.0")],
        [Frame("boost::container::deque<int>::grow()", "/usr/include/boost/container/deque.hpp", 5, APP)],
        [Frame("boost::shared_ptr<Node> boost::make_shared<Node>()", "make_shared_object.hpp", 250)],  # without full paths
        [Frame("boost::detail::sp_counted_impl_p<Node>::dispose()", None, None, APP)],  # without lines
        [Frame("nlohmann::json_abi_v3_11_2::basic_json<>::create()", "/opt/homebrew/include/nlohmann/json.hpp", 9, APP)],
        [
            Frame("runtime.makeslice", "c:/go/src/runtime/slice.go", 98),
            Frame("bytes.growSlice", "/usr/lib/go-1.19/src/bytes/buffer.go", 240),
            Frame("bytes.(*Buffer).Grow", "/usr/lib/golang/src/bytes/buffer.go", 166),
            Frame("bytes.(*Buffer).Write", "/home/me/sdk/go1.20rc1/src/bytes/buffer.go", 172),
            Frame("bytes.(*Buffer).WriteString", "/opt/tools/go/1.21.0/x64/src/bytes/buffer.go", 182),
            Frame("net/http.(*conn).serve", "net/http/server.go", 1895),  # -trimpath
        ],
        [Frame("regcomp", None, None, "/lib/x86_64-linux-gnu/libc.so.6")],
        [Frame(None, None, None, None, 0x1234)],
    ],
)
def test_machinery_is_not_blamed_while_the_project_is_there(machinery):
    assert blamed([*machinery, LEAF, MAIN]) == LEAF


@pytest.mark.parametrize(
    "file",
    [
        "/home/me/go/src/github.com/me/app/os/file.go",
        "/go/src/app/main.go",
        "example.com/os/file.go",
        "/home/me/goserver/src/net/file.go",
    ],
)
def test_what_lies_in_a_go_path_is_not_all_go_s(file):
    frame = Frame("app/os.Load", file, 7)
    assert blamed([Frame("runtime.makeslice", "/usr/local/go/src/runtime/slice.go", 98), frame, MAIN]) == frame


def test_what_the_program_calls_as_libc_would_is_its_own_where_it_is_known_to_be_in_it():
    frame = Frame("__reader_new", "io/reader.c", 7, APP)
    assert blamed([MALLOC, frame, MAIN]) == frame
    assert blamed([MALLOC, frame._replace(module=None), LEAF, MAIN]) == LEAF


@pytest.mark.parametrize(
    "wrapper",
    [
        "xmalloc", "xcalloc(unsigned long, unsigned long)", "my_calloc", "safe_strdup", "g_malloc0", "zmalloc", "ztrymalloc",
        "checked_realloc(void*, unsigned long)", "mem_alloc", "util::xstrdup(char const*)", "xmalloc_or_die", "emalloc", "alloc",
        "_emalloc", "xmmap", "safe_mmap", "os_mmap64", "xmmap_or_die",
    ],
)  # fmt: skip
def test_a_wrapper_with_a_clear_name_is_not_blamed(wrapper):
    assert blamed([MALLOC, code(wrapper, 3), LEAF, MAIN]) == LEAF


@pytest.mark.parametrize(
    "name",
    ["leak_malloc()", "my_alloc_table_fill", "load_config", "Cache::put(int)", "reallocate_all", "safe_put", "unmmap"],
)
def test_other_names_are_no_wrappers(name):
    frame = code(name, 3)
    assert blamed([MALLOC, frame, MAIN]) == frame


def test_a_wrapper_that_the_profile_names_is_not_blamed():
    assert blamed([MALLOC, code("obtain", 3), LEAF, MAIN], wrappers=["obt*"]) == LEAF
    assert blamed([MALLOC, code("obtain", 3), LEAF, MAIN]) == code("obtain", 3)


def test_a_method_that_forgets_is_blamed():
    method = code("Session::attach(Buffer const&)", 31, "/home/me/app/session.cpp")
    assert blamed([MALLOC, Frame("std::string::_M_create(unsigned long&, unsigned long)"), method, MAIN]) == method


@pytest.mark.parametrize("file", ["/home/me/boost/libs/pool/include/boost/pool.hpp", "archive.cpp", "/opt/app/src/archive.cpp"])
def test_who_works_on_a_library_of_headers_is_blamed(file):
    own = Frame("boost::serialization::load(Archive&)", file, 5, APP)
    assert blamed([MALLOC, own, MAIN]) == own


def test_the_program_is_the_project_below_usr_too():
    frame = Frame("sdsnewlen", None, None, "/usr/bin/redis-server")
    assert blamed([MALLOC, frame, Frame("main", None, None, "/usr/bin/redis-server")], command=["redis-server"]) == frame
    inside = Frame("job_add", None, None, "/usr/lib/x86_64-linux-gnu/jobd")
    assert blamed([MALLOC, Frame("g_new", None, None, "/usr/lib/libglib-2.0.so.0"), inside], command=["jobd"]) == inside


def test_a_plugin_of_an_application_is_the_project():
    assert role_of(Frame("handler", None, None, "/usr/lib/nginx/modules/ngx_x.so")) is Role.PROJECT


def test_without_the_project_the_outermost_library_is_blamed_else_the_first_name():
    outer = Frame("gtk_init", None, None, "/usr/lib/x86_64-linux-gnu/libgtk-3.so.0")
    inner = Frame("g_malloc", None, None, "/usr/lib/x86_64-linux-gnu/libglib-2.0.so.0")
    libc = Frame("call_init", None, None, "/lib64/ld-linux-x86-64.so.2")
    assert blamed([MALLOC, inner, outer, libc]) == outer
    assert blamed([MALLOC, libc]) == MALLOC
    assert blamed([BELOW_THRESHOLD]) is None
    assert blamed([code("xmalloc", 3), BELOW_THRESHOLD]) == code("xmalloc", 3)


def test_where_one_callers_blocks_are_freed_and_anothers_stay_the_caller_is_blamed():
    stacks = [[MALLOC, LEAF, code("parse", 20), MAIN], [MALLOC, LEAF, code("serve", 30), MAIN]]
    assert blamed_lines(stacks, [(0, 1e6), (1e6, 1e6)]) == [20, 30]
    assert blamed_lines(stacks, [(9e5, 1e6), (1e6, 1e6)]) == [7, 7]
    assert blamed_lines(stacks, [(0, 10), (1e6, 1e6)]) == [7, 7], "a few bytes freed at the start tell nothing"


def test_a_caller_that_has_some_blocks_in_use_frees_all_the_same():
    stacks = [[MALLOC, LEAF, code("parse", 20), MAIN], [MALLOC, LEAF, code("serve", 30), MAIN]]
    assert blamed_lines(stacks, [(1.5e5, 1e6), (1e6, 1e6)]) == [20, 30], "a queue with some in it"
    assert blamed_lines(stacks, [(2e4, 1e6), (3e4, 1e6)]) == [7, 7], "both free"
    assert blamed_lines(stacks, [(4e5, 1e6), (1e6, 1e6)]) == [7, 7], "neither gives most of it back"


def test_a_wrapper_is_looked_through_also_where_nothing_is_known_of_the_blocks():
    stacks = [[MALLOC, LEAF, code(name, line), MAIN] for name, line in (("parse", 20), ("serve", 30), ("start", 40))]
    assert blamed_lines(stacks, [(0, 1e6), (1e6, 1e6), (0, 0)]) == [20, 30, 40]
    assert blamed_lines(stacks, [(0, 0), (1e6, 1e6), (0, 0)]) == [7, 7, 7], "one caller's fate alone tells nothing"


def test_two_calls_in_one_function_are_two_callers():
    stacks = [[MALLOC, LEAF, code("main", 20)], [MALLOC, LEAF, code("main", 30)]]
    assert blamed_lines(stacks, [(0, 1e6), (1e6, 1e6)]) == [20, 30]


def test_a_wrapper_of_a_wrapper_is_looked_through():
    inner, outer = code("get", 5), code("get_cleared", 6)
    stacks = [[MALLOC, inner, outer, code("parse", 20), MAIN], [MALLOC, inner, outer, code("serve", 30), MAIN]]
    stacks.append([MALLOC, inner, code("temporary", 40), MAIN])
    assert blamed_lines(stacks, [(0, 1e6), (1e6, 1e6), (0, 1e6)]) == [20, 30, 40]


def test_a_wrapper_below_several_that_only_call_each_other_is_looked_through():
    chain = [MALLOC, code("get", 5), code("get_counted", 6), code("get_checked", 7)]
    stacks = [[*chain, code("parse", 20), MAIN], [*chain, code("serve", 30), MAIN]]
    assert blamed_lines(stacks, [(0, 1e6), (1e6, 1e6)]) == [20, 30]
    assert blamed_lines(stacks, [(1e6, 1e6), (1e6, 1e6)]) == [5, 5]


OBMALLOC = "/home/me/app/Objects/obmalloc.c"
CPYTHON = [
    code("_PyMem_RawMalloc", 42, OBMALLOC),
    code("_PyMem_DebugRawAlloc", 1971, OBMALLOC),
    code("_PyMem_DebugRawMalloc", 2004, OBMALLOC),
    code("_PyMem_DebugMalloc", 2156, OBMALLOC),
    code("PyObject_Malloc", 676, OBMALLOC),
]


def test_wrappers_that_call_each_other_in_one_file_are_looked_through_where_another_file_calls_the_last():
    assert blamed([MALLOC, *CPYTHON, LEAF, MAIN]) == LEAF
    assert blamed([MALLOC, *CPYTHON, code("new_arena", 700, OBMALLOC), MAIN]) == CPYTHON[0], "nothing tells but the names"
    assert blamed([MALLOC, *CPYTHON[:2], code("new_arena", 9, OBMALLOC), *CPYTHON[3:], LEAF]) == CPYTHON[0], "not all allocate"


def test_wrappers_before_one_with_a_clear_name_are_looked_through():
    assert blamed([MALLOC, code("my_raw_malloc", 2), code("my_debug_alloc", 3), code("my_malloc", 4), LEAF, MAIN]) == LEAF
    assert blamed([MALLOC, code("node_create", 2), code("my_malloc", 4), LEAF, MAIN]) == code("node_create", 2)


def test_wrappers_before_one_with_several_callers_are_looked_through():
    chain = [MALLOC, code("my_raw_malloc", 5), code("my_pool_malloc", 6)]
    stacks = [[*chain, code("parse", 20), MAIN], [*chain, code("serve", 30), MAIN]]
    assert blamed_lines(stacks, [(1e6, 1e6), (1e6, 1e6)]) == [20, 30]
    assert blamed_lines(stacks[:1], [(1e6, 1e6)]) == [5], "one caller tells nothing"
    other = [MALLOC, code("make_pool", 5), code("my_pool_malloc", 6)]
    stacks = [[*other, code("parse", 20), MAIN], [*other, code("serve", 30), MAIN]]
    assert blamed_lines(stacks, [(1e6, 1e6), (1e6, 1e6)]) == [5, 5]


@pytest.mark.parametrize("name", ["broker__malloc", "contextMalloc", "queue_strdup", "cacheRealloc_"])
def test_a_name_as_the_c_library_s_is_a_wrapper_s_where_it_serves_others(name):
    own = code(name, 3, "/home/me/app/memory.c")
    assert blamed([MALLOC, own, LEAF, MAIN]) == LEAF, "another file calls it"
    assert blamed([MALLOC, Frame(name, None, None, APP), LEAF, MAIN]) == LEAF, (
        "it was built without -g, and so is of another file"
    )
    assert blamed([MALLOC, Frame(name, None, None, APP), Frame("use", None, None, APP)]) == Frame(name, None, None, APP)
    assert blamed([MALLOC, code("xmalloc", 2), code(name, 3), LEAF, MAIN]) == LEAF, "it stands behind a wrapper"
    assert blamed([MALLOC, code(name, 3), LEAF, MAIN]) == code(name, 3), "a test's own name, perhaps: nothing else tells"
    assert blamed([MALLOC, own]) == own


@pytest.mark.parametrize("name", ["itemAlloc", "streamAlloc", "vecalloc", "storealloc"])
def test_the_letters_of_malloc_within_other_words_make_no_wrapper(name):
    own = code(name, 3, "/home/me/app/memory.c")
    assert blamed([MALLOC, own, LEAF, MAIN]) == own


def test_a_function_that_allocates_at_many_lines_is_no_wrapper():
    stacks = [[MALLOC, code("serve", line), code("main", 90 + line)] for line in (1, 2, 3)]
    assert blamed_lines(stacks, [(0, 1e6), (1e6, 1e6), (1e6, 1e6)]) == [1, 2, 3]


def test_the_leaf_under_many_unrelated_callers_is_a_wrapper_where_freed_blocks_are_not_seen():
    leaf = code("obtain", 5, "/home/me/app/memory.c")
    stacks = [[MALLOC, leaf, code(f"job_{n}", 10 + n, f"/home/me/app/part{n}.c"), MAIN] for n in range(6)]
    assert blamed_lines(stacks, [(1, 1)] * 6, losses=True) == [10, 11, 12, 13, 14, 15]
    assert blamed_lines(stacks, [(1, 1)] * 6) == [5] * 6, "all of it stays: the function itself keeps it"


def test_recursion_is_not_its_own_caller():
    stacks = [[MALLOC, LEAF, LEAF, code("serve", 30), MAIN], [MALLOC, LEAF, code("parse", 20), MAIN]]
    assert blamed_lines(stacks, [(1e6, 1e6), (0, 1e6)]) == [30, 20]
