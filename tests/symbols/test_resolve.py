"""Real programs, run under tcmalloc's heap profiler, with their dumps named to the line."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from runner.formats.gperftools_heap import read_series
from runner.model import Frame, Mapping, Metric, Recording, check_valid
from runner.symbols import symbolizer
from runner.symbols.elf import build_id, read_image
from runner.symbols.resolve import resolve
from runner.symbols.store import Names, load_names, save_names
from runner.symbols.symbolizer import Location, name_addresses

TCMALLOC = next((str(path) for path in sorted(Path("/usr/lib").glob("*/libtcmalloc.so*"))), None)
pytestmark = pytest.mark.skipif(
    not (TCMALLOC and shutil.which("gcc") and shutil.which("addr2line")), reason="needs gcc and libtcmalloc"
)

LEAKY = """\
#include <stdlib.h>
void *volatile kept[1000];
static inline __attribute__((always_inline)) void *wrap(int n) {
  return malloc(n);
}
__attribute__((noinline)) void keep(int i) {
  kept[i] = wrap(100);
}
int main(void) {
  for (int i = 0; i < 1000; i++)
    keep(i);
  return 0;
}
"""


def build(directory: Path, *flags: str, source: str = LEAKY, name: str = "leaky", suffix: str = "c") -> Path:
    (directory / f"{name}.{suffix}").write_text(source)
    compiler = "g++" if suffix == "cc" else "gcc"
    subprocess.run([compiler, "-g", f"{name}.{suffix}", "-o", name, *flags], cwd=directory, check=True)
    return directory / name


def dump(program: Path, prefix: str = "heap") -> Recording:
    directory = program.parent
    env = {**os.environ, "LD_PRELOAD": TCMALLOC or "", "HEAPPROFILE": str(directory / prefix)}
    subprocess.run([program], cwd=directory, env=env, check=True, capture_output=True)
    return read_series([(path, None) for path in sorted(directory.glob(f"{prefix}.*.heap"))])


def largest(recording: Recording) -> list[Frame]:
    column = recording.snapshots[-1].columns[Metric.LIVE_BYTES]
    stack_id, _ = max(column.items(), key=lambda item: item[1])
    return recording.table.frames_of(stack_id)


def places(frames: list[Frame]) -> list[tuple[str | None, str, int | None]]:
    return [(frame.signature, Path(frame.file or "").name, frame.line) for frame in frames]


@pytest.mark.parametrize("flags", [("-O0",), ("-O0", "-no-pie"), ("-O1", "-no-pie"), ("-O2",), ("-O2", "-Wl,-z,separate-code")])
def test_the_leaking_line_is_named(tmp_path: Path, flags: tuple[str, ...]) -> None:
    program = build(tmp_path, "-fno-optimize-sibling-calls", *flags)
    recording = dump(program)
    bytes_before = dict(recording.snapshots[-1].columns[Metric.LIVE_BYTES].items())
    resolve([recording])
    check_valid(recording)
    frames = largest(recording)
    assert places(frames)[:3] == [("wrap", "leaky.c", 4), ("keep", "leaky.c", 7), ("main", "leaky.c", 11)]
    assert [frame.inlined for frame in frames[:3]] == [True, False, False]
    assert {frame.module for frame in frames[:3]} == {str(program)}
    assert frames[0].address == frames[1].address
    assert dict(recording.snapshots[-1].columns[Metric.LIVE_BYTES].items()) == bytes_before


def test_addr2line_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording, again = dump(build(tmp_path, "-O2")), read_series([(tmp_path / "heap.0001.heap", None)])
    resolve([recording])
    monkeypatch.setattr(symbolizer, "symbolizers", lambda: (shutil.which("addr2line"),))
    resolve([again])
    assert places(largest(again))[:3] == places(largest(recording))[:3]


def test_signatures_are_demangled_and_whole(tmp_path: Path) -> None:
    source = """\
#include <string>
namespace app { struct Node { char pad[400]; }; template <class T> struct Pool {
  Node *grow(T, const std::string &) { return new Node; }
}; }
int main() {
  app::Pool<int> pool;
  for (int i = 0; i < 100; i++) pool.grow(i, "x");
}
"""
    recording = dump(build(tmp_path, "-O0", source=source, suffix="cc"))
    resolve([recording])
    frame = largest(recording)[0]
    assert (frame.signature or "").startswith("app::Pool<int>::grow(int, std::")
    assert frame.line == 3


def test_a_plugin_that_was_unloaded_keeps_its_names(tmp_path: Path) -> None:
    plugin = "#include <stdlib.h>\nvoid *plug(int n) {\n  return malloc(n);\n}\n"
    build(tmp_path, "-shared", "-fPIC", "-O0", source=plugin, name="plug.so")
    host = """\
#include <dlfcn.h>
#include <stdio.h>
void HeapProfilerDump(const char *) __attribute__((weak));
int main(void) {
  void *so = dlopen("./plug.so", RTLD_NOW);
  void *(*plug)(int) = (void *(*)(int))dlsym(so, "plug");
  for (int i = 0; i < 100; i++) plug(5000);
  HeapProfilerDump("loaded");
  dlclose(so);
  HeapProfilerDump("unloaded");
  return 0;
}
"""
    program = build(tmp_path, "-O0", source=host, name="host")
    recording = dump(program)
    assert len({stack for stack, _ in recording.snapshots[0].columns[Metric.LIVE_BYTES].items()}) >= 1
    resolve([recording])
    assert places(largest(recording))[:1] == [("plug", "plug.so.c", 3)]
    # Alone, a dump that was made later knows nothing of it; what was mapped meanwhile does.
    late = read_series([(tmp_path / "heap.0002.heap", None)])
    assert largest(late)[0].module is None
    late.pid = 7
    resolve([late], mappings={7: recording.mappings})
    assert places(largest(late))[:1] == [("plug", "plug.so.c", 3)]


def strip(program: Path, debug: Path, *, link: bool) -> None:
    debug.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["objcopy", "--only-keep-debug", program, debug], check=True)
    subprocess.run(["strip", program], check=True)
    if link:
        subprocess.run(["objcopy", f"--add-gnu-debuglink={debug}", program], check=True)


@pytest.mark.parametrize("build_ids", ["-Wl,--build-id", "-Wl,--build-id=none"])
@pytest.mark.parametrize("place", ["leaky.debug", ".debug/leaky.debug"])
def test_a_debug_link_is_followed(tmp_path: Path, build_ids: str, place: str) -> None:
    program = build(tmp_path, "-O0", build_ids)
    strip(program, tmp_path / place, link=True)
    recording = dump(program)
    resolve([recording])
    assert places(largest(recording))[:2] == [("wrap", "leaky.c", 4), ("keep", "leaky.c", 7)]


def test_debug_files_are_searched_by_build_id(tmp_path: Path) -> None:
    program = build(tmp_path, "-O0")
    found = build_id(program)
    strip(program, tmp_path / "symbols/.build-id" / found[:2] / f"{found[2:]}.debug", link=False)
    recording = dump(program)
    resolve([recording], search=[tmp_path / "symbols"])
    assert places(largest(recording))[:1] == [("wrap", "leaky.c", 4)]


def test_a_debug_file_of_another_build_is_not_believed(tmp_path: Path) -> None:
    program = build(tmp_path, "-O0", "-Wl,--build-id=none")
    strip(program, tmp_path / "leaky.debug", link=True)
    other = build(tmp_path, "-O0", "-Wl,--build-id=none", source="\n\n" + LEAKY, name="other")
    shutil.copy(other, tmp_path / "leaky.debug")
    recording = dump(program)
    resolve([recording])
    assert largest(recording)[0].line is None
    assert any("no debug information" in limit and "-g" in limit for limit in recording.limits)


def test_exported_functions_of_a_stripped_library_have_their_names(tmp_path: Path) -> None:
    program = build(tmp_path, "-O0", "-rdynamic")
    subprocess.run(["strip", program], check=True)
    recording = dump(program)
    resolve([recording])
    assert [frame[0] for frame in places(largest(recording))[:2]] == ["keep", "main"]
    assert {(frame.file, frame.line) for frame in largest(recording)[:2]} == {(None, None)}


def test_names_outlive_the_binary(tmp_path: Path) -> None:
    program = build(tmp_path, "-O2")
    recording = dump(program)
    save_names(resolve([recording]), tmp_path / "symbols.json")
    program.unlink()
    again = read_series([(tmp_path / "heap.0001.heap", None)])
    resolve([again], names=load_names(tmp_path / "symbols.json"))
    assert again.table.frames == recording.table.frames
    assert again.table.stacks == recording.table.stacks
    assert again.limits == []


def test_what_had_no_names_is_said_again_from_symbols_json(tmp_path: Path) -> None:
    program = build(tmp_path, "-O0")
    subprocess.run(["strip", program], check=True)
    recording = dump(program)
    save_names(resolve([recording]), tmp_path / "symbols.json")
    program.unlink()
    again = read_series([(tmp_path / "heap.0001.heap", None)])
    resolve([again], names=load_names(tmp_path / "symbols.json"))
    assert again.limits == recording.limits != []


def test_a_binary_that_is_gone_is_said(tmp_path: Path) -> None:
    program = build(tmp_path)
    recording = dump(program)
    moved = program.rename(tmp_path / "elsewhere")
    bare = read_series([(tmp_path / "heap.0001.heap", None)])
    resolve([bare])
    assert largest(bare)[0].module == str(program) and largest(bare)[0].signature is None
    assert any("is not there any more" in limit and "--exe" in limit for limit in bare.limits)
    resolve([recording], search=[moved])
    assert places(largest(recording))[:1] == [("wrap", "leaky.c", 4)]


def test_a_binary_that_was_rebuilt_is_not_used(tmp_path: Path) -> None:
    program = build(tmp_path, "-O0")
    recording = dump(program)
    names = Names()
    offset = 0x1000  # one address that was resolved, as after a run of which another process was not read
    names.module(str(program), build_id(program)).by_offset[offset] = (Location("x", None, None),)
    shutil.copy(program, tmp_path / "old")
    build(tmp_path, "-O0", source="\n\n\n" + LEAKY)
    resolve([recording], names=names)
    assert largest(recording)[0].signature is None
    assert any("has changed since" in limit for limit in recording.limits)
    again = read_series([(tmp_path / "heap.0001.heap", None)])
    resolve([again], names=names, search=[tmp_path / "old"])
    assert places(largest(again))[:1] == [("wrap", "leaky.c", 4)]


def test_a_binary_that_was_replaced_under_the_program_is_not_used(tmp_path: Path) -> None:
    source = LEAKY.replace("return 0", 'return rename("other", "leaky")').replace("<stdlib.h>", "<stdio.h>\n#include <stdlib.h>")
    program = build(tmp_path, "-O0", source=source)
    build(tmp_path, "-O0", source="\n\n\n" + LEAKY, name="other")
    recording = dump(program)
    assert any(mapping.deleted and mapping.path == str(program) for mapping in recording.mappings)
    resolve([recording])
    assert largest(recording)[0].signature is None
    assert any("was replaced" in limit for limit in recording.limits)


def test_the_cache_serves_the_same_build_and_survives_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = build(tmp_path, "-O2")
    cache = tmp_path / "cache"
    recording = dump(program)
    resolve([recording], cache_dir=cache)
    kept = cache / f"{build_id(program)}.json"
    assert kept.is_file()
    with monkeypatch.context() as patched:
        patched.setattr("runner.symbols.resolve.name_addresses", lambda *_: ({}, "not asked"))
        cached = read_series([(tmp_path / "heap.0001.heap", None)])
        resolve([cached], cache_dir=cache)
    assert largest(cached) == largest(recording)
    for damage in (
        b"",
        b"{",
        b'{"path": 1}',
        b"[" * 100_000,
        kept.read_bytes()[:-40],
        b'{"path":"","build_id":"","locations":[[1]],"offsets":{}}',
    ):
        kept.write_bytes(damage)
        again = read_series([(tmp_path / "heap.0001.heap", None)])
        resolve([again], cache_dir=cache)
        assert largest(again) == largest(recording)


def test_files_without_a_build_id_are_not_cached(tmp_path: Path) -> None:
    recording = dump(build(tmp_path, "-O0", "-Wl,--build-id=none"))
    resolve([recording], cache_dir=tmp_path / "cache")
    assert places(largest(recording))[:1] == [("wrap", "leaky.c", 4)]
    assert not [path for path in (tmp_path / "cache").glob("*") if "leaky" in path.read_text()]


def test_a_damaged_symbols_json_is_said(tmp_path: Path) -> None:
    recording = dump(build(tmp_path))
    (tmp_path / "symbols.json").write_text('{"schema": "leakrun.symbols/1", "modules": [{"path"')
    resolve([recording], names=load_names(tmp_path / "symbols.json"))
    assert any("symbols.json can't be read" in limit for limit in recording.limits)
    assert places(largest(recording))[:1] == [("wrap", "leaky.c", 4)]
    assert load_names(tmp_path / "none.json") == Names()


@pytest.mark.parametrize("fault", ["sleep 60", "exit 3", "kill -SEGV $$", "head -c 100 /dev/urandom", "echo '{\"Symbol\": 3}'"])
def test_a_symbolizer_that_fails_gives_way_to_addr2line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    program = build(tmp_path, "-O0")
    image = read_image(program)
    assert image
    broken = tmp_path / "llvm-symbolizer"
    broken.write_text(f"#!/bin/sh\nexec 2>/dev/null\n{fault}\n")
    broken.chmod(0o755)
    address = int(
        subprocess.run(["nm", program], check=True, capture_output=True, text=True).stdout.split(" T keep")[0].split()[-1], 16
    )
    monkeypatch.setattr(symbolizer, "symbolizers", lambda: (str(broken), shutil.which("addr2line")))
    found, trouble = name_addresses(program, [address + 8], 2.0)
    assert found[address + 8][0].signature == "keep"
    assert not trouble
    monkeypatch.setattr(symbolizer, "symbolizers", lambda: (str(broken),))
    found, trouble = name_addresses(program, [address + 8], 0.5)
    assert not found.get(address + 8)
    assert trouble or fault.startswith(("head", "echo"))


def test_without_any_symbolizer_the_way_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = dump(build(tmp_path))
    monkeypatch.setattr(symbolizer, "symbolizers", lambda: ())
    resolve([recording])
    assert largest(recording)[0].signature is None
    assert any("apt-get install" in limit for limit in recording.limits)


def test_garbage_where_a_module_should_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "lib.so").write_bytes(b"\x7fELF" + b"\xff" * 200)
    recording = Recording("heapprofile", mappings=[Mapping(0x1000, 0x2000, 0, str(tmp_path / "lib.so"))])
    recording.table.intern([Frame(address=0x1800, module=str(tmp_path / "lib.so")), Frame(address=0x9000)])
    resolve([recording])
    assert recording.table.frames_of(0) == [Frame(address=0x800, module=str(tmp_path / "lib.so")), Frame(address=0x9000)]
    assert any("ELF" in limit for limit in recording.limits)


def test_a_nameless_address_counts_within_its_file_and_is_the_same_in_every_run(tmp_path: Path) -> None:
    program = build(tmp_path, "-O2", "-s")
    nameless = []
    for prefix in ("first", "second"):
        recording = dump(program, prefix)
        before = [frame.address or 0 for frame in recording.table.frames]
        resolve([recording])
        own = [
            (was, frame)
            for was, frame in zip(before, recording.table.frames, strict=False)
            if frame.module == str(program) and frame.signature is None
        ]
        assert own
        for was, frame in own:
            mapping = next(each for each in recording.mappings if each.start <= was < each.end)
            assert frame.address == was - mapping.start + mapping.offset
        nameless.append({frame for _, frame in own})
    assert nameless[0] == nameless[1]
