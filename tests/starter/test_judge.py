import json
from pathlib import Path

import pytest

from domain.deployment import Observation
from domain.errors import Refused
from domain.observing import tick_between
from domain.verdict import Verdict
from starter import entry
from starter.codes import Exit
from starter.judge_file import read_counts
from tests.domain.ticks import setup, side, tick

HEAD = "time,control_total,control_bad,canary_total,canary_bad"
GOOD = [f"{at * 10},450,1,50,0" for at in range(1, 31)]
BAD = [f"{at * 10},450,1,50,4" for at in range(1, 31)]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(*lines: str, head: str = HEAD, name: str = "counts.csv") -> Path:
    path = Path(name)
    path.write_text("\n".join((head, *lines)) + "\n")
    return path


def told(path: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, Verdict]:
    code = entry.run(["judge", str(path), "--json", *more])
    return code, Verdict.model_validate_json(capsys.readouterr().out)


def refused(path: Path) -> str:
    with pytest.raises(Refused) as caught:
        read_counts(path)
    return caught.value.problems[0].message


def test_a_good_release_passes_with_0(capsys: pytest.CaptureFixture[str]):
    code, verdict = told(written(*GOOD), capsys)

    assert (code, verdict.verdict, verdict.requests) == (Exit.DONE, "pass", 1_500)


def test_a_bad_one_fails_with_3_and_says_why(capsys: pytest.CaptureFixture[str]):
    code = entry.run(["judge", str(written(*BAD))])
    shown = capsys.readouterr().out

    assert code == Exit.ENDED
    assert shown.startswith("fail  8 % of 150 answers of the new release were bad")
    for word in ("12 of 150", "3 of 1,350", "Evidence", "Sees from"):
        assert word in shown


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("10,4500,1,0,0", "no_data"),
        ("10,45,1,5,0", "inconclusive"),
        ("10,0,0,500,0", "inconclusive"),
    ],
)
def test_where_nothing_can_be_said_it_ends_with_4(
    line: str, expected: str, capsys: pytest.CaptureFixture[str]
):
    code, verdict = told(written(line), capsys)

    assert (code, verdict.verdict) == (Exit.WAITS, expected)


def test_options_decide_how_strict_it_is(capsys: pytest.CaptureFixture[str]):
    path = written(*[f"{at * 10},450,1,50,1" for at in range(1, 7)])

    assert told(path, capsys)[1].verdict != "fail"
    assert told(path, capsys, "--alpha", "0.2")[1].verdict == "fail"
    assert told(path, capsys, "--alpha", "0.2", "--tolerance", "9")[1].verdict != "fail"
    assert "of the 9,000 answers" in told(path, capsys, "--min-requests", "9000")[1].reason


@pytest.mark.parametrize("option", ["--alpha", "--tolerance"])
def test_an_option_that_is_no_number_is_refused(option: str, capsys: pytest.CaptureFixture[str]):
    code = entry.run(["judge", str(written(*GOOD)), option, "nan"])

    told = capsys.readouterr()
    assert (code, told.out) == (Exit.INVALID, "")
    assert "Traceback" not in told.err


def test_slow_answers_are_a_class_of_their_own(capsys: pytest.CaptureFixture[str]):
    path = written(*[f"{line},20,12" for line in GOOD], head=f"{HEAD},control_slow,canary_slow")

    _, verdict = told(path, capsys)

    assert verdict.verdict == "fail"
    assert [(found.name, found.failed) for found in verdict.classes] == [
        ("error", False),
        ("slow", True),
    ]


def test_a_weight_shows_faults_of_the_routing(capsys: pytest.CaptureFixture[str]):
    path = written(*[f"{at},500,0,1,0,20" for at in range(9)], head=f"{HEAD},weight")

    assert told(path, capsys)[1].guard == "routing"


def test_json_is_read_as_csv_is(capsys: pytest.CaptureFixture[str]):
    columns = HEAD.split(",")
    rows = [dict(zip(columns, map(int, line.split(",")), strict=True)) for line in BAD]
    alone, named = Path("alone.json"), Path("named.txt")
    alone.write_text(json.dumps(rows))
    named.write_text(json.dumps({"ticks": rows}))

    expected = told(written(*BAD), capsys)

    assert told(alone, capsys) == expected
    assert told(named, capsys) == expected


def test_stored_ticks_are_judged_as_they_are(capsys: pytest.CaptureFixture[str]):
    ticks = [tick(side(450, 1, slow=9), side(50, 4), at=at, step=2) for at in range(30)]
    path = Path("ticks.json")
    path.write_text(json.dumps([each.model_dump(mode="json") for each in ticks]))

    _, verdict = told(path, capsys)

    assert read_counts(path).ticks == tuple(ticks)
    assert (verdict.verdict, len(verdict.classes)) == ("fail", 2)


def test_a_tick_that_only_opens_a_step_has_no_length():
    opening = tick_between(
        None,
        Observation(target="t", at_ms=5, generation=1),
        rollout="r",
        step=0,
        seq=0,
        weight=500,
        setup=setup(),
    )
    path = Path("ticks.json")
    path.write_text(json.dumps([opening.model_dump(mode="json")]))

    assert read_counts(path).tick_s > 0


def test_times_may_be_dates(capsys: pytest.CaptureFixture[str]):
    lines = [f"2026-05-04T12:00:{at:02}Z,450,1,50,4" for at in range(0, 60, 10)]

    assert read_counts(written(*lines)).ticks[0].ms == 10_000
    assert read_counts(written(*[line.replace("Z", "") for line in lines])).tick_s == 10


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["10,450,1,50,x"], "counts.csv, line 2, column 5: `canary_bad` should be a whole number"),
        (["10,450,1,50,-1"], "line 2, column 5: `canary_bad` should be a whole number, 0 or more"),
        (["10,450,1.5,50,0"], "line 2, column 3: `control_bad`"),
        (["10,450,1,50,0", "", "20,450,1"], "line 4: there are 3 cells, and 5 columns"),
        (["10,450,1,50,51"], "`canary_bad` is 51, more than the 50 of `canary_total`"),
        (["20,450,1,50,0", "10,450,1,50,0"], "line 3: `time` should be later than in the row"),
        (["soon,450,1,50,0"], "line 2: `time` should be seconds or a date and time, got 'soon'"),
        (["nan,450,1,50,0"], "line 2: `time` should be seconds"),
        (['10,"450'], "unexpected end of data"),
        ([], "there is no row of counts"),
    ],
)
def test_what_is_wrong_with_a_csv_file_is_told_with_its_place(lines: list[str], message: str):
    assert message in refused(written(*lines))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("time,control_total,control_bad,canary_total", "the column canary_bad is missing"),
        (f"{HEAD},speed", "column 6 ('speed') is not known"),
        (f"{HEAD},time", "column 6 ('time') is not known, or there twice"),
        ("", "the column time is missing"),
    ],
)
def test_a_wrong_header_is_told(head: str, message: str):
    assert message in refused(written(head=head))


def test_a_weight_is_a_per_cent():
    path = written("1,9,0,1,0,120", head=f"{HEAD},weight")

    assert "column 6: `weight` should be a number from 0 to 100, got '120'" in refused(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[{"time": 1, "control_bad": 0, "canary_total": 1, "canary_bad": 0,\n'
            '"control_total": -1}]',
            "line 2: `ticks[0].control_total` should be greater than or equal to 0, got -1",
        ),
        ("[]", "there is no row of counts"),
        ("[1,", "counts.json"),
        ('[{"time": 1, "control_total": 5, "control_bad": 9,\n'
         '"canary_total": 1, "canary_bad": 0}]', "line 1: `control_bad` is 9"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_json_file_is_told_with_its_line(text: str, message: str):
    path = Path("counts.json")
    path.write_text(text)

    assert message in refused(path)


def test_many_mistakes_are_told_at_once_but_not_all_of_them():
    with pytest.raises(Refused) as caught:
        read_counts(written(*["x,y,z,1,2"] * 90))

    assert len(caught.value.problems) == 20


def test_a_file_that_is_no_text_is_refused():
    Path("counts.csv").write_bytes(b"time,\n\xff\xfe")

    assert "line 2: the text is not UTF-8" in refused(Path("counts.csv"))
    assert "unreadable" not in refused(Path())


def test_a_missing_file_ends_with_2_and_one_error(capsys: pytest.CaptureFixture[str]):
    code = entry.run(["judge", "nowhere.csv"])

    told = capsys.readouterr()
    assert (code, told.out) == (Exit.INVALID, "")
    assert told.err.strip() == "error: nowhere.csv: no such file or directory"
