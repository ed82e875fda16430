"""Files that leakrun does not read are told by name."""

from pathlib import Path

import pytest

from runner.errors import LeakrunError
from runner.formats import UnknownFormatError, read_file


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        (b"noise\n==7== Helgrind, a thread error detector\n==7== Possible data race\n", "Helgrind", "memcheck"),
        (b"==7== Massif, a heap profiler\n==7== Command: x\n", "Massif", "massif.out.PID"),
        (b"==7== DHAT, a dynamic heap analysis tool\n", "DHAT", "dhat.out.PID"),
        (
            b"-----\nCommand:            ./x\nMassif arguments:   (none)\nms_print arguments: massif.out.8\n",
            "ms_print",
            "massif.out",
        ),
        (b'reading file "heaptrack.x.8.gz" - please wait, this might take some time...\n', "heaptrack_print", ".zst"),
        (
            b"\nMemory not freed:\n-----------------\n           Address     Size     Caller\n0x05     0x64  at a.c:1\n",
            "mtrace",
            "MALLOC_TRACE",
        ),
        (b"[7:21:46] Top 1 stacks with outstanding allocations:\n4 bytes in 1 allocations from stack\n", "memleak", "attach"),
        (b"497:   /usr/bin/x\n000055555579a000    140K rw---   [ anon ]\n", "pmap", "smaps"),
        (
            b"15080:   x\nAddress           Kbytes     RSS   Dirty Mode  Mapping\n0000000000400000   14560    7944\n",
            "pmap",
            "smaps",
        ),
        (b"positions: instr line\nevents: Ir\n", "callgrind", ".ms"),
        (b"WARNING: ThreadSanitizer: data race (pid=8)\n", "sanitizer", "-fsanitize=address"),
        (b"\0" * 8 + b"\3" + b"\0" * 15, "CPU profile", "heap profile"),
    ],
)
def test_what_a_file_is_and_what_to_give_instead(text: bytes, what: str, hint: str, tmp_path: Path) -> None:
    (tmp_path / "given").write_bytes(text)
    with pytest.raises(UnknownFormatError) as caught:
        read_file(tmp_path / "given")
    assert what in caught.value.message and hint in caught.value.hint


def test_what_nobody_knows_is_told_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "given").write_bytes(b"dear diary\n")
    with pytest.raises(LeakrunError) as caught:
        read_file(tmp_path / "given")
    assert "massif.out" in caught.value.hint
