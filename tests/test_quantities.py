"""Durations, sizes and signals: what is taken, what is refused with which advice, and the way back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.quantities import (
    LONGEST_SECONDS,
    format_duration,
    format_signal,
    parse_duration,
    parse_signal,
    parse_size,
    parse_stop_signal,
    parse_switch,
    signal_name,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("100ms", 0.1),
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("1.5s", 1.5),
        ("2d", 172800.0),
        ("0", 0.0),
        ("0s", 0.0),
        ("1h30m", 5400.0),
        ("1m30s500ms", 90.5),
        (" 3s ", 3.0),
    ],
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "500",
        "1111111111111111111111111111111111111111s",
        "-1s",
        "+1s",
        "nan",
        "inf",
        "infs",
        "1e3s",
        "1 s",
        "s",
        "ms",
        "1x",
        "5s1h",
        "1ss",
        "1_0s",
        "\u0661s",  # a digit, but not ours
        "9999999d",
        "1.s",
        ".5s",
        "1s\x00",
        "0x10s",
        "1S1",
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|unit|too long"):
        parse_duration(text)


def test_a_number_without_a_unit_is_told_how_to_write_it() -> None:
    with pytest.raises(ValueError, match=r"'500' has no unit: write 500s, 500ms"):
        parse_duration("500")


@given(st.floats(min_value=0, max_value=LONGEST_SECONDS))
def test_a_duration_reads_back_exactly(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4096", 4096),
        ("0", 0),
        ("64K", 65536),
        ("64k", 65536),
        ("64M", 64 << 20),
        ("1G", 1 << 30),
        ("2T", 2 << 40),
        ("1.5G", 3 << 29),
        ("64MiB", 64 << 20),
        ("12B", 12),
    ],
)
def test_sizes_are_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "-1", "nan", "inf", "1e9", "0x10", "M", "64 M", "1.5", "99999999T", "9" * 30, "1P", "1\0"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"size|whole number of bytes"):
        parse_size(text)


def test_decimal_megabytes_are_refused_with_the_way_to_write_them() -> None:
    with pytest.raises(ValueError, match=r"write 64M"):
        parse_size("64MB")


@pytest.mark.parametrize(("text", "signum"), [("TERM", 15), ("SIGINT", 2), ("usr1", 10), ("15", 15), ("SIGRTMIN", 34)])
def test_signals_by_name_and_number(text: str, signum: int) -> None:
    assert parse_signal(text) == signum


@pytest.mark.parametrize("text", ["", "SIG", "FOO", "0", "65", "999", "-15", "SIGSIGTERM", "DFL", "TERM\0", "_DFL"])
def test_what_is_no_signal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="there is no signal"):
        parse_signal(text)


@pytest.mark.parametrize("signum", range(1, 65))
def test_every_signal_reads_back(signum: int) -> None:
    if signum not in (32, 33):  # taken by the C library
        assert parse_signal(format_signal(signum)) == signum


@pytest.mark.parametrize("text", ["KILL", "9", "SIGSTOP"])
def test_a_stop_signal_must_leave_time_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="no time to write"):
        parse_stop_signal(text)


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("Yes", True), ("on", True), ("FALSE", False), ("no", False), ("off", False)]
)
def test_switches(text: str, value: bool) -> None:
    assert parse_switch(text) is value


@pytest.mark.parametrize("text", ["", "1", "y", "maybe"])
def test_what_is_no_switch_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither true nor false"):
        parse_switch(text)


@pytest.mark.parametrize(("signum", "name"), [(15, "SIGTERM"), (34, "SIGRTMIN"), (35, "SIGRTMIN+1"), (63, "SIGRTMIN+29")])
def test_every_signal_has_a_name(signum: int, name: str) -> None:
    assert signal_name(signum) == name
