"""ULIDs sort by time, and are read as the specification says."""

from domain.ulid import ulid


def test_is_the_example_of_the_specification():
    # github.com/ulid/spec: 01ARZ3NDEKTSV4RRFFQ69G5FAV is of 2016-07-30T23:54:10.259Z.
    assert ulid(1_469_922_850_259, 0)[:10] == "01ARZ3NDEK"
    assert ulid(0, (1 << 80) - 1) == "0" * 10 + "Z" * 16
    assert len(ulid(1, 1 << 90)) == 26


def test_sorts_by_time():
    assert sorted([ulid(9, 5), ulid(10, 1), ulid(1_000, 0)]) == [
        ulid(9, 5), ulid(10, 1), ulid(1_000, 0),
    ]  # fmt: skip
