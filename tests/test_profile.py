"""Profiles: what is read as written, what is refused and where, extends, overrides, and the way back to YAML."""

import os
import subprocess
import sys
from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner import backends, profile
from runner.errors import ErrorKind, LeakrunError
from runner.profile import NextToFile, Profile, ToolOptions, Within, Written, dump, load, parse_signal, shipped_names
from runner.profile.yaml_tree import DEEPEST, LARGEST_FILE

Path_ = Annotated[str, NextToFile()]


class ToolOne(ToolOptions):
    """Options of every shape that a backend may have."""

    check: Literal["no", "summary", "yes", "full"] = "full"
    stacks: Literal["yes", "no"] | None = None
    kinds: str = "all"
    depth: Annotated[int, Within(1, 200)] | None = None
    threshold: Annotated[float, Within(0, 100)] | None = None
    mapped: bool | None = None
    names: list[str] = field(default_factory=list)
    files: list[Path_] = field(default_factory=list)
    library: str | None = None
    signal: Annotated[int, Written(parse_signal)] = 23
    step: profile.Size | None = None


class ToolTwo(ToolOptions):
    """A tool that must be told one thing."""

    how: Literal["a", "b"]


def options_for(backend: str) -> type[ToolOptions] | None:
    return {"one": ToolOne, "two": ToolTwo}.get(backend)


def options_of_backend(backend: str) -> type[ToolOptions] | None:
    return backends.get(backend).Options if backend in backends.names() else None


def loaded(directory: Path, text: str | bytes, *overrides: str, tool_args: tuple[str, ...] = ()) -> Profile:
    file = directory / "p.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(str(file), options_for, overrides, tool_args)


def errors_of(directory: Path, text: str | bytes, *overrides: str, tool_args: tuple[str, ...] = ()) -> list[str]:
    """The lines of the error, without the directory."""
    with pytest.raises(LeakrunError) as caught:
        loaded(directory, text, *overrides, tool_args=tool_args)
    assert caught.value.kind is ErrorKind.USAGE
    return caught.value.message.replace(f"{directory}/", "").split("\n")


def option(directory: Path, line: str) -> object:
    """The value of the one option of this line of YAML."""
    made = loaded(directory, f"backend: one\noptions:\n  {line}\n")
    assert isinstance(made.options, ToolOne)
    return getattr(made.options, line.split(":")[0])


def option_error(directory: Path, line: str) -> str:
    (error,) = errors_of(directory, f"backend: one\noptions:\n  {line}\n")
    return error


# ---- read as written


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("stacks: yes", "yes"),
        ("stacks: 'no'", "no"),
        ("check: no", "no"),
        ("kinds: yes", "yes"),
        ("kinds: 012", "012"),
        ("kinds: 1:30", "1:30"),
        ("kinds: 1_000", "1_000"),
        ("kinds: 0x10", "0x10"),
        ("kinds: 2001-01-01", "2001-01-01"),
        ("kinds: 1.50", "1.50"),
        ("kinds: .nan", ".nan"),
        ("kinds: true", "true"),
        ("kinds: ''", ""),
        ("kinds: 'null'", "null"),
        ("depth: 12", 12),
        ("depth: +12", 12),
        ("depth: null", None),
        ("threshold: 0", 0.0),
        ("threshold: 1.5", 1.5),
        ("threshold: 1e1", 10.0),
        ("mapped: true", True),
        ("mapped: yes", True),
        ("mapped: off", False),
        ("names: [yes, 012, '3']", ["yes", "012", "3"]),
        ("names: []", []),
        ("library: ~", None),
        ("signal: USR1", 10),
        ("signal: 10", 10),
        ("step: 64M", 64 << 20),
        ("step: 4096", 4096),
    ],
)
def test_a_value_is_read_by_what_is_due(tmp_path: Path, line: str, value: object) -> None:
    read = option(tmp_path, line)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("depth: 012", "3:10: options.depth: '012' is not a whole number: write 12"),
        ("depth: 0x10", "3:10: options.depth: '0x10' is not a whole number: write 16"),
        ("depth: 1_00", "3:10: options.depth: '1_00' is not a whole number: write 100"),
        ("depth: 1:30", "3:10: options.depth: '1:30' is not a whole number"),
        ("depth: 12.0", "3:10: options.depth: '12.0' is not a whole number"),
        ("depth: '12'", "3:10: options.depth: '12' is text, since it is quoted: write it without the quotes"),
        ("depth: yes", "3:10: options.depth: 'yes' is not a whole number"),
        ("depth: ١٢", "3:10: options.depth: '١٢' is not a whole number"),
        ("depth: 201", "3:10: options.depth: should be less than or equal to 200"),
        ("depth: [1]", "3:10: options.depth: a list stands here, but a whole number is due"),
        ("depth: {a: 1}", "3:10: options.depth: keys and values stand here, but a whole number is due"),
        ("threshold: .nan", "3:14: options.threshold: '.nan' is not a number"),
        ("threshold: .inf", "3:14: options.threshold: '.inf' is not a number"),
        ("threshold: 1e999", "3:14: options.threshold: '1e999' is not a number"),
        ("stacks: true", "3:11: options.stacks: 'true' is not one of yes, no (did you mean yes?)"),
        ("stacks: off", "3:11: options.stacks: 'off' is not one of yes, no (did you mean no?)"),
        ("check: Full", "3:10: options.check: 'Full' is not one of no, summary, yes, full (did you mean full?)"),
        ("check: sumary", "3:10: options.check: 'sumary' is not one of no, summary, yes, full (did you mean summary?)"),
        ("kinds: ~", '3:10: options.kinds: ~ means nothing in YAML, but text is due (did you mean "~" in quotes?)'),
        ("kinds:", "3:9: options.kinds: nothing is written here, but text is due"),
        ("mapped: maybe", "3:11: options.mapped: 'maybe' is not true or false"),
        ("names: foo", "3:10: options.names: 'foo' is not a list: write [foo]"),
        ("names: [a, [b]]", "3:14: options.names.1: a list stands here, but text is due"),
        ("signal: FOO", "3:11: options.signal: there is no signal 'FOO': write TERM, INT, USR1 ... or a number"),
        ("step: 64MB", "3:9: options.step: '64MB' is not a size: write 64M (units are powers of 1024)"),
        ("depht: 3", "3:3: options.depht: there is no such key (did you mean depth?)"),
        ("--kinds: all", "3:3: options.--kinds: there is no such key (did you mean kinds?)"),
        ("grace: 3s", "3:3: options.grace: there is no such key (it is stop.grace)"),
    ],
)
def test_a_wrong_value_is_told_with_its_place_and_a_way_out(tmp_path: Path, line: str, what: str) -> None:
    assert option_error(tmp_path, line) == f"p.yaml:{what}"


def test_the_whole_of_a_profile(tmp_path: Path) -> None:
    made = loaded(
        tmp_path,
        "name: mine\nbackend: one\ndescription: what: it is not\n".replace("what: ", "what ")
        + "args: [--a, 012, yes]\nenv: {A: 012, B: no, C.D: 1:30}\n"
        "snapshots: {every: 500ms, at_exit: no, rss_step: 64M, adaptive: true}\nstop: {signal: SIGINT, grace: 1m}\n"
        "wrappers: [xmalloc, 'my new']\nredact: ['TOKEN=', '[[]']\n",
    )
    assert made.name == "mine"
    assert made.args == ("--a", "012", "yes")
    assert made.env == {"A": "012", "B": "no", "C.D": "1:30"}
    assert made.snapshots == profile.Snapshots(every=0.5, at_exit=False, rss_step=64 << 20, adaptive=True)
    assert (made.stop_plan().signum, made.stop_plan().grace) == (2, 60.0)
    assert made.wrappers == ("xmalloc", "my new")
    assert made.redact == ("TOKEN=", "[[]")


def test_a_profile_of_nothing_but_a_backend_has_the_defaults(tmp_path: Path) -> None:
    made = loaded(tmp_path, b"\xef\xbb\xbfbackend: one\r\noptions:\r\n  # none\r\n")
    assert made.name == "p"
    assert made.options == ToolOne()
    assert (made.snapshots.every, made.snapshots.at_exit, made.stop.signal, made.stop.grace) == (None, True, 15, 30.0)


def test_a_file_name_that_is_no_name_still_gives_one(tmp_path: Path) -> None:
    file = tmp_path / "mein Profil (neu).yaml"
    file.write_text("backend: one\n")
    assert load(str(file), options_for).name == "mein-Profil-neu-"


# ---- every error at once, each at its place


def test_every_error_is_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
backend: one
options:
  thresholds: 0
  depth: 012
chek: full
every: 3s
stop: {grace: 500, signal: KILL}
snapshots:
  evry: 1s
  every: 1ms
env: {A: ~, B=: x, '': y}
wrappers: [xmalloc, '']
redact: [a, '*KEY*', '']
name: a/b
"""
    assert errors_of(tmp_path, text) == [
        "p.yaml:3:3: options.thresholds: there is no such key (did you mean threshold?)",
        "p.yaml:4:10: options.depth: '012' is not a whole number: write 12",
        "p.yaml:5:1: chek: there is no such key (did you mean options.check?)",
        "p.yaml:6:1: every: there is no such key (it is snapshots.every)",
        "p.yaml:7:15: stop.grace: '500' has no unit: write 500s, 500ms, 500m or 500h",
        "p.yaml:7:28: stop.signal: KILL leaves the tool no time to write: write TERM, INT, QUIT or HUP",
        "p.yaml:9:3: snapshots.evry: there is no such key (did you mean every?)",
        "p.yaml:10:10: snapshots.every: is too small: at least 10ms",
        """p.yaml:11:10: env.A: ~ means nothing in YAML, but text is due (did you mean "~" in quotes?)""",
        "p.yaml:11:13: env.B=: 'B=' is not the name of an environment variable",
        "p.yaml:11:20: env.'': '' is not the name of an environment variable",
        "p.yaml:12:21: wrappers.1: '' is not a name or a pattern",
        "p.yaml:13:13: redact.1: '*KEY*' is no regular expression: nothing to repeat at position 0",
        "p.yaml:13:22: redact.2: an empty pattern is found in everything",
        "p.yaml:14:7: name: 'a/b' is not a name: up to 64 letters, digits, dots, dashes",
    ]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"", ["p.yaml:1:1: the file is empty"]),
        (b"# nothing\n", ["p.yaml:1:1: the file is empty"]),
        (b"---\n", ["p.yaml:1:1: the file is empty"]),
        (b"- a\n", ["p.yaml:1:1: the file holds a list where keys and values are due"]),
        (b"massif\n", ["p.yaml:1:1: the file holds a single value where keys and values are due"]),
        (b"backend: one\n---\nbackend: two\n", ["p.yaml:2:1: a second document starts here: one file holds one"]),
        (b"backend: one\ndescription: \xff\n", ["p.yaml:2:14: the file is not UTF-8 text"]),
        ("backend: one".encode("utf-16"), ["p.yaml:1:1: the file is not UTF-8 text"]),
        (b"backend: one\nname: a\x00b\n", ["p.yaml:2:8: the character U+0000 is not allowed in YAML"]),
        (b"backend: one\nbackend: one\n", ["p.yaml:2:1: backend: stands twice, first in line 1"]),
        (b"backend: one\nenv:\n  A: 1\n  A: 2\n", ["p.yaml:4:3: A: stands twice, first in line 3"]),
        (b"backend: one\n? [a]\n: b\n", ["p.yaml:2:3: a key must be a single word"]),
        (b"backend: one\nx\n", ["p.yaml:3:1: this is not YAML: could not find expected ':'"]),
        (b"backend: one\n\tname: x\n", ["p.yaml:2:1: this is not YAML: found character '\\t' that cannot start any token"]),
        (b"backend: 'one\n", ["p.yaml:2:1: this is not YAML: found unexpected end of stream"]),
        (
            b"backend: one\ndescription: !!python/object/apply:os.system [id]\n",
            [
                "p.yaml:2:14: the tag 'tag:yaml.org,2002:python/object/apply:os.system' is not taken: "
                "write the value without it, in quotes where it is text"
            ],
        ),
        (
            b"backend: one\nname: &n x\ndescription: *n\n",
            [
                "p.yaml:2:7: the anchor &n is not taken: write the value out where it is needed",
                "p.yaml:3:14: the alias *n is not taken: write the value out, or use `extends:`",
            ],
        ),
        (b"backend: one\n<<: {name: x}\n", ["p.yaml:2:1: the merge key << is not taken: use `extends:`"]),
        (b"description: x\n", ["p.yaml:1:1: backend: is missing"]),
        (b"backend: [one]\n", ["p.yaml:1:10: backend: a list stands here, but text is due"]),
        (b"backend: 'on'\n", ["p.yaml:1:10: backend: there is no backend 'on'"]),
        (b"backend: ''\n", ["p.yaml:1:10: backend: there is no backend ''"]),
        (b"backend: ~\n", ['p.yaml:1:10: backend: ~ means nothing in YAML, but text is due (did you mean "~" in quotes?)']),
        (
            b"backend: one\noptions: !x {}\n",
            ["p.yaml:2:10: the tag '!x' is not taken: write the value without it, in quotes where it is text"],
        ),
        (b"backend: ../one\n", ["p.yaml:1:10: backend: there is no backend '../one'"]),
        (b"backend: two\n", ["p.yaml:1:1: options.how: is missing"]),
        (b"backend: one\noptions: 3\n", ["p.yaml:2:10: options: a group of keys and values is due"]),
        (b"backend: one\noptions: [a]\n", ["p.yaml:2:10: options: a group of keys and values is due"]),
        (b"backend: one\nextends: [a]\n", ["p.yaml:2:10: extends: the name or the file of one profile is due"]),
        (b"backend: one\nextend: one\n", ["p.yaml:2:1: extend: there is no such key (did you mean extends?)"]),
        (b"backend: one\nsnapshots: 5s\n", ["p.yaml:2:12: snapshots: '5s' is not a group of keys and values"]),
        (b"backend: one\nargs: --foo\n", ["p.yaml:2:7: args: '--foo' is not a list: write [--foo]"]),
    ],
)
def test_files_that_are_not_what_they_should_be(tmp_path: Path, text: bytes, lines: list[str]) -> None:
    assert errors_of(tmp_path, text) == lines


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}")])
@pytest.mark.parametrize("levels", [DEEPEST + 1, 5000, 50000])
def test_deep_nesting_is_refused_and_not_followed(tmp_path: Path, opening: str, closing: str, levels: int) -> None:
    (error,) = errors_of(tmp_path, "backend: one\nargs: " + opening * levels + closing * levels)
    assert "nested deeper than 20 levels" in error
    assert error.startswith("p.yaml:2:")


def test_of_very_many_errors_the_first_hundred_are_told(tmp_path: Path) -> None:
    lines = errors_of(tmp_path, "backend: one\n" + "".join(f"k{number}: 1\n" for number in range(150)))
    assert len(lines) == 101
    assert lines[-1] == "and 50 more"


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    assert errors_of(tmp_path, b"#" * (LARGEST_FILE + 1))[0].startswith("p.yaml:1:1: the file is larger than 256 KiB")
    loaded(tmp_path, b"backend: one\n#".ljust(LARGEST_FILE, b"x"))


def test_a_file_without_an_end_is_refused() -> None:
    with pytest.raises(LeakrunError, match="larger than 256 KiB"):
        load("/dev/zero", options_for)


@settings(max_examples=20000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80) | st.text(alphabet="aone: \n-[]{}&*!|>'\"#%@,?~<0123.\t\\", max_size=60).map(str.encode))
def test_no_bytes_bring_it_down(tmp_path: Path, content: bytes) -> None:
    try:
        loaded(tmp_path, b"backend: one\n" + content)
    except LeakrunError as error:
        assert all(line.startswith(f"{tmp_path}/p.yaml:") for line in error.message.split("\n"))


# ---- names


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("masif", "there is no profile 'masif'", "did you mean massif? `leakrun profiles` lists them"),
        ("zzz", "there is no profile 'zzz'", "`leakrun profiles` lists them"),
        ("../nowhere/x", "there is no profile file '../nowhere/x'", "`leakrun profiles` lists those that are shipped"),
        ("massif.yaml", "there is no profile file 'massif.yaml'", "did you mean the shipped massif?"),
        ("a\0b", "'a\\x00b' is no profile's name", ""),
        ("", "'' is no profile's name", ""),
        ("/", "the profile '/' is a directory", ""),
        ("..", "there is no profile '..'", ""),
        ("a\nb", "there is no profile 'a\\nb'", ""),
        ("x" * 9000, "there is no profile 'xxxxx", ""),
        ("/" + "x" * 9000, "the profile '/xxxxx", ""),
        ("~nobody-of-this-name/x.yaml", "the profile '~nobody-of-this-name/x.yaml' can't be read", ""),
        ("\udcff", "there is no profile '\\udcff'", ""),
    ],
)
def test_names_that_are_no_profile(name: str, message: str, hint: str) -> None:
    with pytest.raises(LeakrunError) as caught:
        load(name, options_for)
    assert caught.value.kind is ErrorKind.USAGE
    assert message in caught.value.message
    assert "\n" not in caught.value.message and len(caught.value.message) < 200
    assert hint in caught.value.hint


def test_a_file_of_that_name_without_its_path_is_pointed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.yaml").write_text("backend: one\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LeakrunError) as caught:
        load("mine", options_for)
    assert "./mine.yaml" in caught.value.hint
    assert load("mine.yaml", options_for).name == "mine"


def test_a_profile_may_come_through_a_pipe() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"backend: one\n")
    os.close(writing)
    assert load(f"/dev/fd/{reading}", options_for).backend == "one"
    os.close(reading)


# ---- extends


def test_extends_merges_options_and_env_by_key_and_replaces_lists(tmp_path: Path) -> None:
    (tmp_path / "below.yaml").write_text(
        "name: below\ndescription: below\nbackend: one\noptions: {depth: 5, kinds: some, names: [a, b]}\nenv: {A: 1, B: 2}\n"
        "snapshots: {every: 5s, adaptive: true}\nargs: [--x]\n"
    )
    made = loaded(
        tmp_path, "extends: below.yaml\noptions: {depth: 6, names: [c]}\nenv: {B: 3}\nsnapshots: {every: 1s}\nwrappers: [w]\n"
    )
    assert made.options == ToolOne(depth=6, kinds="some", names=["c"])
    assert made.env == {"A": "1", "B": "3"}
    assert (made.snapshots.every, made.snapshots.adaptive) == (1.0, True)
    assert (made.name, made.description, made.args, made.wrappers) == ("p", "", ("--x",), ("w",))


def test_extends_is_relative_to_the_file_and_errors_name_the_file_they_are_in(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.yaml").write_text("extends: ../b.yaml\noptions:\n  depth: 0\n")
    (tmp_path / "b.yaml").write_text("backend: one\noptions:\n  kinds: [x]\n")
    lines = errors_of(tmp_path, "extends: sub/a.yaml\noptions: {stacks: 3}\n")
    assert lines == [
        "p.yaml:2:19: options.stacks: '3' is not one of yes, no",
        "sub/../b.yaml:3:10: options.kinds: a list stands here, but text is due",
        "sub/a.yaml:3:10: options.depth: should be greater than or equal to 1",
    ]


def test_extends_of_itself_is_told_with_the_chain(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: ./p.yaml\n")
    (error,) = errors_of(tmp_path, "backend: one\nextends: a.yaml\n")
    assert error == "a.yaml:1:10: extends: the chain p.yaml -> a.yaml -> p.yaml extends itself"


def test_a_chain_without_end_is_cut(tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / f"{number}.yaml").write_text(f"extends: {number + 1}.yaml\n")
    (error,) = errors_of(tmp_path, "backend: one\nextends: 0.yaml\n")
    assert "extends: the chain" in error and error.endswith("is too long")


def test_what_can_not_be_extended_does_not_hide_the_other_errors(tmp_path: Path) -> None:
    lines = errors_of(tmp_path, "extends: masif\nnam: x\nstop: {grace: 5}\n")
    assert lines == [
        "p.yaml:1:10: extends: there is no profile 'masif' (did you mean massif? `leakrun profiles` lists them)",
        "p.yaml:2:1: nam: there is no such key (did you mean name?)",
        "p.yaml:3:15: stop.grace: '5' has no unit: write 5s, 5ms, 5m or 5h",
    ]


def test_a_profile_of_the_name_of_a_shipped_one_may_extend_it(tmp_path: Path) -> None:
    file = tmp_path / "massif.yaml"
    file.write_text("extends: massif\noptions: {depth: 7}\n")
    made = load(str(file), options_of_backend)
    assert made.options == load("massif", options_of_backend, ["depth=7"]).options


def test_paths_are_relative_to_the_file_they_are_written_in(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.yaml").write_text("backend: one\noptions: {files: [x.supp, /abs/y.supp]}\n")
    made = loaded(tmp_path, "extends: sub/a.yaml\n")
    assert isinstance(made.options, ToolOne)
    assert made.options.files == [f"{tmp_path}/sub/x.supp", "/abs/y.supp"]


# ---- --set and --tool-arg


def test_overrides_reach_options_and_the_rest(tmp_path: Path) -> None:
    made = loaded(
        tmp_path,
        "backend: one\noptions: {depth: 3, names: [x]}\n",
        "depth=4",
        "options.kinds=a=b",
        "names=one name",
        "files=[/a, '/b']",
        "snapshots.every=5s",
        "stop.grace=1m",
        "env.A.B=012",
        "wrappers=[v, w]",
        "stacks=yes",
        "stacks=no",
        tool_args=("--verbatim=1", "yes"),
    )
    assert made.options == ToolOne(depth=4, kinds="a=b", names=["one name"], files=["/a", "/b"], stacks="no")
    assert (made.snapshots.every, made.stop.grace, made.env, made.wrappers) == (5.0, 60.0, {"A.B": "012"}, ("v", "w"))
    assert made.args == ("--verbatim=1", "yes")


def test_tool_args_come_behind_args(tmp_path: Path) -> None:
    assert loaded(tmp_path, "backend: one\nargs: [--a]\n", tool_args=("--b",)).args == ("--a", "--b")


def test_an_override_mends_what_the_file_has_wrong(tmp_path: Path) -> None:
    assert loaded(tmp_path, "backend: one\noptions: {depth: x}\n", "depth=3").options == ToolOne(depth=3)


def test_errors_of_overrides_name_the_override(tmp_path: Path) -> None:
    lines = errors_of(
        tmp_path,
        "backend: one\n",
        "depth=x",
        "dept=3",
        "every=3s",
        "snapshots.evry=3s",
        "stop.grace=5",
        "foo",
        "=3",
        "extends=massif",
        "names=[a",
        "kinds=\udcff",
        "env.=x",
        tool_args=("a\0",),
    )
    assert sorted(lines) == sorted(
        [
            "--set depth: 'x' is not a whole number",
            "--set dept: there is no such key (did you mean depth?)",
            "--set every: there is no such key (it is snapshots.every)",
            "--set snapshots.evry: there is no such key (did you mean every?)",
            "--set stop.grace: '5' has no unit: write 5s, 5ms, 5m or 5h",
            "--set foo: write it as KEY=VALUE, as in --set detailed_freq=1",
            "--set '': write it as KEY=VALUE, as in --set detailed_freq=1",
            "--set extends: what a profile extends can't be set: name that profile with -p",
            "--set names: this is not YAML: expected ',' or ']', but got '<stream end>'",
            "--set kinds: '\\udcff' is not UTF-8 text",
            "--set env.: '' is not the name of an environment variable",
            "--tool-arg: 'a\\x00' is not a text that a program can be given: it holds a NUL",
        ]
    )


# ---- back to YAML

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(TEXTS, max_size=4),
    env=st.dictionaries(TEXTS.filter(lambda text: text and "=" not in text), TEXTS, max_size=4),
    every=st.none() | st.floats(min_value=0.01, max_value=1e8),
    numbers=st.tuples(st.integers(1, 200), st.floats(0, 100), st.integers(1, 31).filter(lambda each: each not in (9, 19))),
    word=st.sampled_from(["yes", "012", "~", "1:30", "null", "", "2001-01-01", "'", "[a", "1e3", "=", "<<", "- a", "a: b", "#x"]),
)
def test_a_dumped_profile_reads_back_equal(
    tmp_path: Path, texts: list[str], env: dict[str, str], every: float | None, numbers: tuple[int, float, int], word: str
) -> None:
    depth, threshold, signum = numbers
    made = Profile(
        name="x",
        backend="one",
        description=word,
        options=ToolOne(kinds=word, depth=depth, threshold=threshold, names=[*texts, word], stacks="yes", mapped=False),
        args=(*texts, word),
        env=env,
        snapshots=profile.Snapshots(every=every, rss_step=4096 * depth),
        stop=profile.Stop(signal=signum, grace=threshold),
    )
    written = dump(made)
    assert loaded(tmp_path, written) == made
    assert yaml.safe_load(written)["options"]["kinds"] == word  # and others read the same in it


# ---- what is shipped


def test_the_eight_are_there() -> None:
    assert {
        "memcheck",
        "memcheck-full",
        "massif",
        "massif-stacks",
        "massif-pages",
        "massif-alloc",
        "heapprofile",
        "heapprofile-mmap",
    } <= set(shipped_names())


@pytest.mark.parametrize("name", shipped_names())
def test_a_shipped_profile_is_valid_says_when_to_use_it_and_reads_back(tmp_path: Path, name: str) -> None:
    made = load(name, options_of_backend)
    assert made.name == name
    assert 30 < len(made.description) < 120 and "\n" not in made.description
    file = tmp_path / "back.yaml"
    file.write_text(dump(made))
    assert load(str(file), options_of_backend) == made


def test_importing_profiles_loads_nothing_heavy() -> None:
    heavy = {"typer", "rich", "numpy", "platformdirs", "psutil"}
    program = f"import sys, runner.profile, runner.config; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
