"""A small reader of pprof's profile.proto, written from the format's description and not from the writer."""

import gzip
from typing import Any

FIELDS = {
    1: "sample_type", 2: "sample", 3: "mapping", 4: "location", 5: "function", 6: "string_table", 9: "time_nanos",
    10: "duration_nanos", 11: "period_type", 12: "period", 13: "comment", 14: "default_sample_type",
}  # fmt: skip


def records(data: bytes) -> list[tuple[int, Any]]:
    """(field number, number or bytes) of each field of one message."""
    found, at = [], 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            found.append((key >> 3, varint()))
        else:
            assert key & 7 == 2, "only numbers and bytes are used"
            size = varint()
            assert at + size <= len(data), "a field reaches beyond its message"
            found.append((key >> 3, data[at : at + size]))
            at += size
    return found


def numbers(data: bytes) -> list[int]:
    """Packed varints: each stands as a field would without its key."""
    out, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            out.append(value)
            value = shift = 0
    assert shift == 0
    return out


def decode(archive: bytes) -> dict[str, Any]:
    """types: [(name, unit)]; samples: [(frames leaf first as (name, file, line), values, labels)]; and what else there is."""
    raw: dict[str, list[Any]] = {name: [] for name in FIELDS.values()}
    for field, value in records(gzip.decompress(archive)):
        raw[FIELDS[field]].append(value)
    strings = [text.decode() for text in raw["string_table"]]
    assert strings[0] == ""

    def table(name: str) -> dict[int, dict[int, Any]]:
        entries = [dict(records(entry)) for entry in raw[name]]
        assert len({entry[1] for entry in entries}) == len(entries), f"an id of {name} stands twice"
        return {entry[1]: entry for entry in entries}

    functions, mappings = table("function"), table("mapping")
    locations = {dict(records(each))[1]: records(each) for each in raw["location"]}
    assert len(locations) == len(raw["location"])

    def lines(location_id: int) -> list[tuple[str, str, int]]:
        found = []
        for field, value in locations[location_id]:
            if field == 2:
                assert value in mappings
            if field == 4:
                line = dict(records(value))
                function = functions[line[1]]
                found.append((strings[function[2]], strings[function.get(4, 0)], line.get(2, 0)))
        return found

    samples = []
    for sample in raw["sample"]:
        fields = records(sample)
        ids = [number for field, value in fields if field == 1 for number in numbers(value)]
        values = [number for field, value in fields if field == 2 for number in numbers(value)]
        labels = {strings[dict(records(value))[1]]: strings[dict(records(value))[2]] for field, value in fields if field == 3}
        samples.append(([line for each in ids for line in lines(each)], values, labels))
    types = [tuple(strings[dict(records(each))[field]] for field in (1, 2)) for each in raw["sample_type"]]
    return {
        "types": types,
        "samples": samples,
        "strings": strings,
        "mappings": [strings[each.get(5, 0)] for each in mappings.values()],
        "functions": [(strings[each[2]], strings[each[3]]) for each in functions.values()],
        "addresses": [dict(each).get(3, 0) for each in locations.values()],
        "default": strings[raw["default_sample_type"][0]],
        "comments": [strings[number] for packed in raw["comment"] for number in numbers(packed)],
        "time_nanos": sum(raw["time_nanos"]),
    }
