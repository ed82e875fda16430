import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.errors import ErrorKind, LeakrunError
from runner.symbols.elf import build_id, read_image
from runner.symbols.libraries import needed_libraries
from runner.symbols.target import inspect_target

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")


def compile_c(directory: Path, name: str, *flags: str, source: str = "int main(void) { return 0; }\n") -> Path:
    (directory / f"{name}.c").write_text(source)
    subprocess.run(["gcc", "-g", f"{name}.c", "-o", name, *flags], cwd=directory, check=True)
    return directory / name


def script(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_bytes(text.encode())
    path.chmod(0o755)
    return path


def inspect(*argv: str, cwd: Path, **env: str):
    return inspect_target(argv, cwd, {"PATH": os.environ["PATH"], **env})


def error_of(*argv: str, cwd: Path, **env: str) -> LeakrunError:
    with pytest.raises(LeakrunError) as caught:
        inspect(*argv, cwd=cwd, **env)
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return caught.value


def test_a_program_is_found_by_path_and_on_path(tmp_path: Path) -> None:
    program = compile_c(tmp_path, "app")
    for target in (inspect("./app", "x", cwd=tmp_path), inspect("app", "x", cwd=Path("/"), PATH=f"/nowhere:{tmp_path}")):
        assert target.executable.samefile(program)
        assert target.argv[1:] == ("x",)
        assert target.elf and target.elf.bits == 64 and not target.elf.static
        assert target.script is None and not target.setuid


def test_an_empty_element_of_path_is_the_directory_of_the_program(tmp_path: Path) -> None:
    compile_c(tmp_path, "app")
    assert inspect("app", cwd=tmp_path, PATH="/nowhere:").executable == tmp_path / "app"


def test_a_file_without_its_x_bit_on_path_gives_way_to_a_later_one(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    shutil.copy(compile_c(tmp_path, "app"), tmp_path / "first/app")
    (tmp_path / "first/app").chmod(0o644)
    assert inspect("app", cwd=Path("/"), PATH=f"{tmp_path}/first:{tmp_path}").executable == tmp_path / "app"
    assert error_of("app", cwd=Path("/"), PATH=f"{tmp_path}/first").kind is ErrorKind.NOT_EXECUTABLE


def test_static_and_needed_libraries(tmp_path: Path) -> None:
    static = compile_c(tmp_path, "static", "-static")
    image = read_image(static)
    assert image and image.facts().static and not image.needed
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-x", "c", "/dev/null", "-o", "libinner.so", "-Wl,--no-as-needed", "-lm"],
        cwd=tmp_path,
        check=True,
    )
    rpath = ("-Wl,--no-as-needed", "-L.", "-linner", "-Wl,-rpath,$ORIGIN")
    program = compile_c(tmp_path, "dynamic", *rpath)
    assert {"libinner.so", "libm.so.6", "libc.so.6"} <= set(needed_libraries(program))
    assert "libm.so.6" not in (read_image(program) or image).needed
    assert inspect("./dynamic", cwd=tmp_path).elf.needed == needed_libraries(program)


def test_libraries_are_those_that_the_loader_lists(tmp_path: Path) -> None:
    program = compile_c(tmp_path, "app", "-Wl,--no-as-needed", "-lstdc++", "-lz", "-lpthread")
    listed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    names = {line.split()[0].rpartition("/")[2] for line in listed.splitlines() if "vdso" not in line}
    assert names == set(needed_libraries(program)) | {"ld-linux-x86-64.so.2"}


def test_build_id_is_what_readelf_says(tmp_path: Path) -> None:
    program = compile_c(tmp_path, "app")
    notes = subprocess.run(["readelf", "-n", program], check=True, capture_output=True, text=True).stdout
    assert f"Build ID: {build_id(program)}" in notes
    assert build_id(compile_c(tmp_path, "none", "-Wl,--build-id=none")) == ""


def test_scripts_lead_to_their_interpreter(tmp_path: Path) -> None:
    shell = Path(shutil.which("sh") or "/bin/sh")
    direct = inspect("./a", cwd=script(tmp_path, "a", f"#! {shell} -e\n").parent)
    assert direct.executable == shell and direct.script == tmp_path / "a" and direct.elf
    by_env = inspect("./b", cwd=script(tmp_path, "b", "#!/usr/bin/env sh\n").parent)
    assert by_env.executable.samefile(shell)
    split = inspect("./c", cwd=script(tmp_path, "c", "#!/usr/bin/env -S A=1 sh -e\n").parent)
    assert split.executable.samefile(shell)
    nested = inspect("./d", cwd=script(tmp_path, "d", f"#!{tmp_path}/a\n").parent)
    assert nested.executable == shell and nested.script == tmp_path / "d"


def test_what_can_not_be_started_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("echo hello\n")
    (tmp_path / "empty").touch()
    for name in ("plain", "empty"):
        assert "is not executable" in error_of(f"./{name}", cwd=tmp_path).message
        (tmp_path / name).chmod(0o755)
        assert "Exec format error" in error_of(f"./{name}", cwd=tmp_path).message
    (tmp_path / "directory").mkdir()
    assert "is a directory" in error_of("./directory", cwd=tmp_path).message
    os.mkfifo(tmp_path / "fifo", 0o777)
    assert "regular file" in error_of("./fifo", cwd=tmp_path).message
    script(tmp_path, "gone", "#!/no/such/interpreter -x\n")
    assert "bad interpreter: /no/such/interpreter is not there" in error_of("./gone", cwd=tmp_path).message
    script(tmp_path, "dos", "#!/bin/sh\r\necho\r\n")
    assert "carriage return" in error_of("./dos", cwd=tmp_path).message
    script(tmp_path, "nothing", "#!\n")
    assert "#! line" in error_of("./nothing", cwd=tmp_path).message
    script(tmp_path, "env", "#!/usr/bin/env no-such-program-9\n")
    assert "no-such-program-9" in error_of("./env", cwd=tmp_path).message
    script(tmp_path, "loop", f"#!{tmp_path}/loop\n")
    kinds = {
        error_of(f"./{name}", cwd=tmp_path).kind for name in ("plain", "directory", "fifo", "gone", "nothing", "env", "loop")
    }
    assert kinds == {ErrorKind.NOT_EXECUTABLE}


def test_missing_programs_are_not_found(tmp_path: Path) -> None:
    for name in ("./nosuch", "no-such-program-9", "", "a\0b", "./a\0b", "x" * 300, "/etc/passwd/x"):
        assert error_of(name, cwd=tmp_path).kind in (ErrorKind.NOT_FOUND, ErrorKind.NOT_EXECUTABLE)
    compile_c(tmp_path, "here")
    found = error_of("here", cwd=tmp_path, PATH="/nowhere")
    assert found.kind is ErrorKind.NOT_FOUND and "./here" in found.hint


def test_an_object_file_and_a_cut_program_are_format_errors(tmp_path: Path) -> None:
    subprocess.run(["gcc", "-c", "-x", "c", "/dev/null", "-o", "o"], cwd=tmp_path, check=True)
    (tmp_path / "o").chmod(0o755)
    script(tmp_path, "cut", "").write_bytes(compile_c(tmp_path, "app").read_bytes()[:60])
    for name in ("./o", "./cut"):
        assert "ELF file" in error_of(name, cwd=tmp_path).message


def test_another_machine_and_a_missing_loader(tmp_path: Path) -> None:
    program = compile_c(tmp_path, "app", "-Wl,--dynamic-linker=/lib/no-such-loader.so")
    assert "/lib/no-such-loader.so" in error_of("./app", cwd=tmp_path).message
    image = bytearray(program.read_bytes())
    image[18:20] = (243).to_bytes(2, "little")
    program.write_bytes(image)
    assert "another machine" in error_of("./app", cwd=tmp_path).message


def test_privileged_programs_are_flagged(tmp_path: Path) -> None:
    program = compile_c(tmp_path, "app")
    program.chmod(0o755 | stat.S_ISUID)
    assert inspect("./app", cwd=tmp_path).setuid
    program.chmod(0o755 | stat.S_ISGID)
    assert inspect("./app", cwd=tmp_path).setuid


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return compile_c(tmp_path_factory.mktemp("elf"), "app").read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(data=st.data())
def test_damaged_files_never_raise(image: bytes, tmp_path: Path, data: st.DataObject) -> None:
    damaged = bytearray(image[: data.draw(st.integers(0, len(image)))])
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, 1200), st.sampled_from([0, 1, 0x7F, 0xFF])), max_size=8)):
        damaged[at : at + 1] = bytes([value])
    path = tmp_path / "damaged"
    path.write_bytes(damaged)
    found = read_image(path)
    assert found is None or found.bits in (32, 64)
    needed_libraries(path)
