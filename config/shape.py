"""A document against a record: unknown keys, wrong types and bad values, told one by one."""

import json
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from config.document import Document, Path, echo, place_of, spell
from domain.errors import Problem, Refused

M = TypeVar("M", bound=BaseModel)
SHOWN = 20  # problems told at once
_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "none_required": "nothing",
}


def fit(document: Document, model: type[M], name: str) -> M:
    """Return the document as a record; raises `Refused` with at most 20 problems."""
    try:
        return model.model_validate_json(
            json.dumps(document.value), strict=True, extra="forbid", by_alias=True, by_name=False
        )
    except ValidationError as error:
        raise Refused(_problems(error, document, model, name)) from None


def _problems(
    error: ValidationError, document: Document, model: type[BaseModel], name: str
) -> tuple[Problem, ...]:
    """Errors of a union come once per member: those about the same place are told as one."""
    grouped: dict[Path, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False, include_context=True):
        place = _place(details["loc"], document)
        if details["type"] in ("missing", "extra_forbidden"):
            place = (*place, details["loc"][-1]) if place[-1:] != details["loc"][-1:] else place
        grouped.setdefault(place, []).append(details)
    around = {place[:depth] for place in grouped for depth in range(len(place))}
    places = [each for each in grouped if each not in around or not _is_vague(grouped[each])]
    places.sort(key=document.line)
    told = tuple(_problem(place, grouped[place], document, model, name) for place in places[:SHOWN])
    if len(places) <= SHOWN:
        return told
    more = f"{name}: {len(places) - SHOWN} more problems are not shown"
    return (*told, Problem(code="more", message=more))


def _place(loc: tuple[int | str, ...], document: Document) -> Path:
    """Drop the steps of a location that name a member of a union, not a part of the document."""
    place: Path = ()
    for step in loc:
        if document.find((*place, step))[0]:
            place = (*place, step)
    return place


def _is_vague(details: list[ErrorDetails]) -> bool:
    """Say whether these only tell which members of a union were not meant."""
    return all(each["type"] in _EXPECTED for each in details)


def _problem(
    place: Path, details: list[ErrorDetails], document: Document, model: type[BaseModel], name: str
) -> Problem:
    first = details[0]
    loc = first["loc"]
    hint = ""
    if first["type"] == "extra_forbidden":
        text = "is not a key that is known here"
        hint = _meant(str(loc[-1]), loc[:-1], place, model)
    elif first["type"] == "missing":
        text = "is missing"
    elif first["type"] == "union_tag_not_found":
        text = f"needs the key {_plain(first, 'discriminator')}"
    elif first["type"] == "union_tag_invalid":
        text, hint = _bad_tag(first)
    else:
        text = f"{_expected(details)}, got {echo(document.find(place)[1])}"
    where = f"`{spell(place)}` " if place else "the document "
    line = document.line(place)
    message = f"{place_of(name, line)}: {where}{text}"
    return Problem(code=first["type"], message=message, path=spell(place), line=line, hint=hint)


def _expected(details: list[ErrorDetails]) -> str:
    """Say what was expected; several members of a union are joined by `or`."""
    kinds = [_EXPECTED[each["type"]] for each in details if each["type"] in _EXPECTED]
    if len(kinds) == len(details):
        return "should be " + " or ".join(dict.fromkeys(kinds))
    told = next(each for each in details if each["type"] not in _EXPECTED)
    subject, _, rest = told["msg"].removeprefix("Value error, ")[:300].partition(" should ")
    return f"should {rest}" if rest else subject[:1].lower() + subject[1:]


def _plain(details: ErrorDetails, key: str) -> str:
    return str(details.get("ctx", {}).get(key, ""))


def _bad_tag(details: ErrorDetails) -> tuple[str, str]:
    key, tag = _plain(details, "discriminator"), _plain(details, "tag")
    known = [each.strip("' ") for each in _plain(details, "expected_tags").split(",")]
    return f"has an unknown {key}: {echo(tag)}", _nearest(tag, known)


def _nearest(word: str, known: list[str]) -> str:
    close = get_close_matches(word, known, n=1, cutoff=0.6) if len(word) <= 64 else []
    if close:
        return f"did you mean {close[0]}?"
    return f"known are {', '.join(sorted(known))}"[:400] if known else ""


def _meant(key: str, loc: tuple[int | str, ...], place: Path, model: type[BaseModel]) -> str:
    """Return the hint for an unknown key: refused on purpose, misspelt, or simply not there."""
    refused = getattr(model, "refused_keys", {})
    if len(place) == 1 and key in refused:
        return str(refused[key])
    known = {name for each in _records_at(model, loc) for name in _fields(each)}
    return _nearest(key, sorted(known))


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _records_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[type[BaseModel]]:
    """Return the records that may stand at a location; tags of unions choose among them."""
    here = [model]
    for step in loc:
        if isinstance(step, int):
            continue
        inner = [found for each in here if step in _fields(each)
                 for found in _records_in(_fields(each)[step])]  # fmt: skip
        here = inner or [each for each in here if _is_tagged(each, step)] or here
    return here


def _is_tagged(model: type[BaseModel], tag: str) -> bool:
    return model.__name__ == tag or any(
        get_origin(field) is Literal and tag in get_args(field) for field in _fields(model).values()
    )


def _records_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Annotated, Union, UnionType, tuple, list, dict):
        return [found for part in get_args(annotation) for found in _records_in(part)]
    return []
