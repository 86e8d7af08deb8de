"""What every record must keep to, so that histories replay and old ones still load."""

import importlib
import pkgutil
from collections.abc import Iterator

import pytest
from pydantic.fields import FieldInfo

import activities
import domain
import workflows
from domain.record import Record

# Factories that only make an empty container are the same on each replay.
HARMLESS = (dict, list, tuple)


def _records() -> Iterator[type[Record]]:
    for room in (domain, activities, workflows):
        for module in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
            importlib.import_module(module.name)
    todo = [Record]
    while todo:
        record = todo.pop()
        todo += record.__subclasses__()
        if record.__module__.split(".")[0] in ("domain", "activities", "workflows"):
            yield record


RECORDS = sorted(set(_records()), key=lambda record: (record.__module__, record.__name__))


def _fields(record: type[Record]) -> list[tuple[str, FieldInfo]]:
    return list(record.model_fields.items())


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_a_record_is_frozen_and_the_same_on_each_replay(record):
    assert record.model_config.get("frozen") is True
    for name, field in _fields(record):
        assert field.default_factory in (None, *HARMLESS), f"{name} has a factory"
        assert "set[" not in str(field.annotation).lower(), f"{name} is a set"
