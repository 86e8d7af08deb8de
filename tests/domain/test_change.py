"""Next tags, changelog entries, release notes."""

from datetime import UTC, datetime

import pytest

from domain.change import are_calendar, changelog_with, next_tag, release_notes
from domain.idea import ChangeKind

BREAKING, FEATURE, FIX, CHORE = ChangeKind
NOW = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("tags", "change", "expected"),
    [
        ((), FIX, "v0.1.0"),
        (("nightly", "v1.x", "v1.2.3-rc1", "v01.2.3"), BREAKING, "v0.1.0"),
        (("v1.2.3",), BREAKING, "v2.0.0"),
        (("v1.2.3",), FEATURE, "v1.3.0"),
        (("v1.2.3",), FIX, "v1.2.4"),
        (("v1.2.3",), CHORE, "v1.2.4"),
        (("v0.4.2",), BREAKING, "v0.5.0"),
        (("v0.4.2",), FEATURE, "v0.5.0"),
        (("v1.9.0", "v1.10.0"), FIX, "v1.10.1"),
        (("1.2.3",), FIX, "1.2.4"),
        (("v1.2",), FIX, "v1.2.1"),
    ],
)
def test_the_next_version_follows_the_kind_of_change(
    tags: tuple[str, ...], change: ChangeKind, expected: str
) -> None:
    assert next_tag(tags, tags, change, NOW) == expected
    assert not are_calendar(tags)


def test_a_version_that_somebody_else_took_is_passed_over() -> None:
    assert next_tag(("v1.0.0",), ("v1.0.0", "v1.1.0", "v1.1.1"), FEATURE, NOW) == "v1.1.2"
    assert next_tag((), ("v0.1.0",), FEATURE, NOW) == "v0.1.1"


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (("2025.06",), "2026.11"),
        (("v2025-6",), "v2026-11"),
        (("2026.11",), "2026.11.1"),
        (("2026.11", "2026.11.1"), "2026.11.21"),
        (("2024.05.17", "2024.06.02"), "2026.11.21"),
        (("v2024-5-17", "v2024-6-12", "1.0.0"), "v2026-11-21"),
        (("2026.11.21",), "2026.11.21.1"),
        (("2026.11.0",), "2026.11.1"),
        (("2026.10.0", "2026.10.1"), "2026.11.0"),
        (("2026.11.0", "2026.11.40"), "2026.11.41"),
    ],
)
def test_calendar_tags_are_continued_in_their_own_format(
    tags: tuple[str, ...], expected: str
) -> None:
    assert are_calendar(tags)
    assert next_tag(tags, tags, FEATURE, NOW) == expected


def test_a_counter_that_is_taken_elsewhere_is_passed_over() -> None:
    taken = ("2026.11.0", "2026.11.1")
    assert next_tag(("2026.11.0",), taken, FIX, NOW) == "2026.11.2"


def test_an_entry_goes_into_the_unreleased_section() -> None:
    text = "# Log\n\n## [Unreleased]\n\n### Fixed\n\n- old\n\n### Added\n\n- a\n\n## 1.0\n\n- x\n"
    assert changelog_with(text, "New", FIX, "v1.1.0", NOW) == text.replace(
        "- old\n", "- old\n- New\n"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("## Unreleased\n", "## Unreleased\n\n### Added\n\n- New\n"),
        ("## Unreleased\n\n### Added\n", "## Unreleased\n\n### Added\n\n- New\n"),
        (
            "## Unreleased\n\n### Added\n### Fixed\n- b\n",
            "## Unreleased\n\n### Added\n\n- New\n\n### Fixed\n- b\n",
        ),
        ("", "## v1.1.0 - 2026-11-21\n\n### Added\n\n- New\n"),
        ("# Log\n", "# Log\n\n## v1.1.0 - 2026-11-21\n\n### Added\n\n- New\n"),
        (
            "# Log\n\n## 1.0\n- x\n",
            "# Log\n\n## v1.1.0 - 2026-11-21\n\n### Added\n\n- New\n\n## 1.0\n- x\n",
        ),
        ("# Log\r\n", "# Log\r\n\r\n## v1.1.0 - 2026-11-21\r\n\r\n### Added\r\n\r\n- New\r\n"),
    ],
)
def test_a_missing_section_is_made(text: str, expected: str) -> None:
    assert changelog_with(text, " New\n", FEATURE, "v1.1.0", NOW) == expected


def test_without_a_version_the_new_section_is_unreleased() -> None:
    assert changelog_with("", "New", BREAKING, "", NOW) == "## Unreleased\n\n### Changed\n\n- New\n"


def test_release_notes_say_what_and_why() -> None:
    assert release_notes("A  title\n", " because \n", CHORE) == (
        "A title\n\nChanged: chore change.\n\nbecause"
    )
    assert release_notes("T", "", FIX) == "T\n\nFixed: fix change."
