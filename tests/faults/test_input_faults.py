"""Hostile input through the command line: told in a line, in bounded memory, and never a traceback."""

import resource
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.leakrun_command import COMMAND, leakrun

ROOM = 2 << 30  # bytes of address space


def confined(*words: object) -> subprocess.CompletedProcess[str]:
    def confine() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (ROOM, ROOM))

    return subprocess.run(
        [*COMMAND, *map(str, words)],
        capture_output=True,
        text=True,
        errors="replace",
        preexec_fn=confine,
        timeout=120,
        check=False,
    )


def laughs() -> str:
    lines = ["a0: &a0 [lol]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    return "\n".join([*lines, "backend: massif"])


@pytest.mark.parametrize(
    "text",
    [laughs(), "backend: massif\noptions: " + "[" * 200_000, "backend: massif\nx: " + "a" * 50_000_000, "a: &a {b: *a}\n"],
    ids=["laughs", "deep", "long", "itself"],
)
def test_a_yaml_bomb_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "bomb.yaml").write_text(text)
    ran = confined("-p", tmp_path / "bomb.yaml", "true")
    assert ran.returncode == 2 and "Traceback" not in ran.stderr and len(ran.stderr) < 20_000


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/etc/passwd", "..", "a\nb", "x" * 5000, "-", "~", "\udcff"])
def test_a_hostile_profile_name_is_refused(name: str, tmp_path: Path) -> None:
    ran = leakrun(f"--profile={name}", "true", cwd=tmp_path)
    assert ran.returncode == 2 and "Traceback" not in ran.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "..", "a/b", "a\\nb"])
def test_a_profile_can_not_name_its_run_out_of_the_directory(name: str, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(f'backend: memcheck\nname: "{name}"\n')
    ran = leakrun("-p", "./p.yaml", "--runs-dir", "runs", "true", cwd=tmp_path)
    assert ran.returncode == 2 and "name" in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["p.yaml"]


ENTITIES = """<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;"><!ENTITY e SYSTEM "file:///etc/passwd">]>
<valgrindoutput><protocolversion>4</protocolversion><protocoltool>memcheck</protocoltool><pid>1</pid><tool>memcheck</tool>
<args><argv><exe>&d;&e;</exe></argv></args></valgrindoutput>"""
MASSIF = """desc: x
cmd: x
time_unit: ms
#-----------
snapshot=0
#-----------
time=0
mem_heap_B=9
mem_heap_extra_B=0
mem_stacks_B=0
"""
HOSTILE = {
    "entities": ENTITIES,
    "nul": ENTITIES.replace("&d;&e;", "a\0b").replace("<!DOCTYPE", "<!--").replace("]>", "-->"),
    "line": MASSIF + "heap_tree=detailed\nn1: 9 0x1: " + "f" * 100_000_000 + " (a.c:1)\n n0: 9 0x2: main (a.c:2)\n",
    "numbers": MASSIF.replace("=9", "=" + "9" * 5000),
    "heap": "heap profile: 1: 9 [1: 9] @ heapprofile\n1: 9 [1: 9] @ " + "0x1 " * 5_000_000 + "\nMAPPED_LIBRARIES:\n",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_native_file_is_survived(case: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(HOSTILE[case])
    ran = confined("show", tmp_path / "file", "--json")
    assert "Traceback" not in ran.stderr and ran.returncode in (0, 2, 3)
    assert "root:" not in ran.stdout and '"verdict": "clean"' not in ran.stdout
    assert ran.returncode == 0 or ran.stderr.startswith("leakrun: ")


def test_markup_in_the_names_of_functions_stays_text(tmp_path: Path) -> None:
    name = "<script>alert(1)</script>&\"'"
    text = MASSIF + f"heap_tree=detailed\nn1: 9 (heap allocation functions)\n n0: 9 0x2: {name} (a.c:2)\n"
    (tmp_path / "massif.out.1").write_text(text)
    ran = leakrun("report", tmp_path / "massif.out.1", "-f", "svg")
    assert ran.returncode == 0, ran.stderr
    tree = ET.fromstring(ran.stdout)
    texts = "".join("".join(tree.itertext()))
    assert "alert" in texts and "<script>alert" not in ran.stdout
    assert not [each for each in tree.iter() if each.tag.endswith("script") and "alert(1)" in (each.text or "")]
