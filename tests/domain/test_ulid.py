"""ULIDs sort by time, and are read as the specification says."""

import pytest

from domain.ulid import ulid, ulid_ms


def test_is_the_example_of_the_specification():
    # github.com/ulid/spec: 01ARZ3NDEKTSV4RRFFQ69G5FAV is of 2016-07-30T23:54:10.259Z.
    assert ulid(1_469_922_850_259, 0)[:10] == "01ARZ3NDEK"
    assert ulid(0, (1 << 80) - 1) == "0" * 10 + "Z" * 16
    assert len(ulid(1, 1 << 90)) == 26


def test_sorts_by_time():
    assert sorted([ulid(9, 5), ulid(10, 1), ulid(1_000, 0)]) == [
        ulid(9, 5), ulid(10, 1), ulid(1_000, 0),
    ]  # fmt: skip


def test_tells_its_time():
    assert ulid_ms("01ARZ3NDEKTSV4RRFFQ69G5FAV") == 1_469_922_850_259
    assert ulid_ms(ulid(281_474_976_710_655, 7)) == 281_474_976_710_655


@pytest.mark.parametrize("text", ["", "01ARZ3NDEK", "U" * 26, "é" * 26])
def test_what_is_no_ulid_has_no_time(text):
    with pytest.raises(ValueError, match="is no ULID"):
        ulid_ms(text)
