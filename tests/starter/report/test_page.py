"""The report as a page: complete, alone, escaped, and true to the records."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from domain.record_view import EventView
from domain.rollout import Quarantined, RolloutState
from domain.rollout_view import HookView
from domain.tick import Side
from domain.verdict import GaugeEvidence
from starter.report import ReportView, render_report
from starter.report.page import e_value, times
from tests.starter.report.canary import (
    BEGIN,
    SECOND,
    Traffic,
    canary_plan,
    passed,
    record,
    ticks,
    undone,
    view,
)

S = RolloutState
EVIL = "<script>alert(1)</script>&\"'"


class Page(HTMLParser):
    """What a browser would see: words, tags and addresses; unclosed tags are counted."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "link"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.words.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(word for word in self.words if word)


def page(shown: ReportView) -> Page:
    return Page(render_report(shown))


def plots(shown: ReportView) -> list[str]:
    """Return what each plot says it is; each one is well-formed."""
    found = re.findall(r"<svg.*?</svg>", render_report(shown), re.DOTALL)
    return [ElementTree.fromstring(each).findtext("title") or "" for each in found]


def test_it_needs_nothing_else_and_runs_nothing():
    html = render_report(undone())
    shown = Page(html)

    assert shown.addresses == ["data:,"]
    assert not {"script", "img", "iframe", "object", "form"} & set(shown.tags)
    assert "url(" not in html
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_it_prints_and_has_a_dark_and_a_light_face():
    html = render_report(passed())

    assert "@media print" in html
    assert "prefers-color-scheme: dark" in html


def test_texts_of_others_are_escaped_everywhere():
    event = EventView(
        at_ms=BEGIN, kind="steered", text=EVIL, seq=7, idea_seq=3, round=1, actor=EVIL
    )
    barred = Quarantined(
        repository="r", sha="9" * 40, rollout=SECOND, key=EVIL, reason=EVIL, at_ms=BEGIN
    )
    shown = undone(
        reason=EVIL,
        tag=EVIL,
        key=EVIL,
        target=EVIL,
        barred=(barred,),
        hooks=(HookView(at_ms=BEGIN, hook="smoke", ok=False, reason=EVIL),),
    ).but(title=EVIL, events=(event,))

    html = render_report(shown)

    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 10
    assert EVIL in Page(html).text


def test_an_undo_is_told_in_words_and_times():
    text = page(undone()).text

    assert "v1.1.0 was undone: 8.2 s from the first bad answer to restored traffic" in text
    assert "first bad answer seen at the end of a tick of 1.0 s" in text
    assert "undo decided" in text
    assert "traffic back all of it to v1.0.0" in text
    assert re.search(r"undo verified \S+ \+ 2\.8 s", text)
    assert "verified the traffic is back, and well" in text
    assert "0 requests went to the undone release since then" in text


def test_bad_answers_that_were_there_before_are_not_called_the_beginning():
    usual = tuple(
        each.but(canary=Side(done=20, error=1, errors=1), control=Side(done=80, error=4, errors=4))
        for each in ticks(Traffic(), steps=1)[:5]
    )
    traffic = Traffic(bad=0.9)
    traffic.now_ms = usual[-1].at_ms
    worse = tuple(each.but(seq=each.seq + 5) for each in traffic.step(0, 2_000, 6))
    text = page(undone(bad_since_ms=usual[1].at_ms).but(ticks=(*usual, *worse))).text

    assert "from the first evidence to restored traffic" in text
    assert "evidence begins to grow" in text


def test_the_plots_of_a_rollout_say_what_they_show():
    assert plots(passed()) == [
        "Share of the traffic that v1.1.0 had, over time",
        "Share of bad answers of v1.1.0 and of v1.0.0, over time",
        "Evidence that v1.1.0 is worse, over time, and the limit at which it fails",
        "Latency of v1.1.0 and of v1.0.0, over time",
        "queue of both sides, over time",
    ]


def test_without_any_bad_answer_the_plot_is_as_high_as_one_cannot_exclude():
    errors = re.findall(r"<svg.*?</svg>", render_report(passed()), re.DOTALL)[1]
    ticks_ = re.findall(r'class="tick y">([^<]+)<', errors)

    assert ticks_ == ["0 %", "2 %", "4 %", "6 %", "8 %"]


def test_a_driver_without_latencies_is_told_instead_of_plotted():
    shown = view(record(S.PASSED), ticks(Traffic(histogram=False)))

    assert not any("Latency" in each for each in plots(shown))
    assert "The driver counts no latencies" in page(shown).text


def test_a_first_install_is_compared_with_nothing():
    plan = canary_plan(anchor=None, first=True)
    plan = plan.but(setup=plan.setup.but(control=False))
    shown = view(record(S.PASSED, first=True, plan=plan), ticks(Traffic()))

    assert "there was no release before to compare it with" in page(shown).text
    assert not any("Evidence" in each for each in plots(shown))


def test_steps_come_with_their_verdicts_and_the_bake_last():
    html = render_report(passed())
    rows = re.findall(r"<tr><td>(\w+)</td><td class=\"n\">([^<]+)</td><td>([^<]+)</td>", html)

    assert rows == [
        ("1", "20 %", "at least 10.0 s"),
        ("2", "50 %", "at least 10.0 s"),
        ("3", "100 %", "not watched by itself"),
        ("bake", "100 %", "at least 10.0 s"),
    ]
    assert "errors rose from 0.1 % to 15 %" in Page(html).text


def test_the_counts_of_the_judge_stand_in_a_table():
    verdict = record(S.PASSED).verdicts[0].verdict
    gauge = GaugeEvidence(name="queue", state="worse", change=0.33, points=9, reason="longer")
    told = passed().record.verdicts[0].but(verdict=verdict.but(gauges=(gauge,)))
    text = page(passed(verdicts=(told,))).text

    assert "bad answers 15 % 9 of 60 0.1 % 1 of 1,000" in text
    assert "2.5 × – any 1,408 200" in text
    assert "queue worse +33% 9 longer" in text


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (S.PASSED, "v1.1.0 has passed, 30.0 s after its first request"),
        (S.HELD, "v1.1.0 is held: a person has to look at it"),
        (S.FAILED, "v1.1.0 failed before it had any traffic"),
        (S.SUPERSEDED, "v1.1.0 gave way to a newer release"),
        (S.RESTORED_UNVERIFIED, "it is not proven that all is well again"),
        (S.UNDONE, "v1.1.0 was undone"),
        (S.SHIFTING, "v1.1.0 is on its way, with 50 % of the traffic"),
        (S.PLANNED, "v1.1.0 is on its way, with 50 % of the traffic"),
    ],
)
def test_every_state_has_a_headline(state: RolloutState, words: str):
    shown = view(record(state, weight=5_000), ticks(Traffic()))

    assert words in page(shown).text


def test_an_undo_by_hand_counts_from_its_decision():
    shown = undone(bad_since_ms=0).but(ticks=ticks(Traffic(), steps=1))

    assert "traffic was back 0.1 s after the decision" in page(shown).text


def test_a_rollout_that_never_had_traffic_has_no_plots():
    shown = view(record(S.FAILED, plan=None, weights=(), moves=(), verdicts=()), ())

    assert plots(shown) == []
    assert "It never had any traffic" in page(shown).text


def test_what_is_on_record_is_named_by_its_entry():
    event = EventView(
        at_ms=BEGIN, kind="rollout_moved", text="release is shifting", seq=1_234, idea_seq=3,
        round=1, actor="slipway",
    )  # fmt: skip
    text = page(passed().but(events=(event,))).text

    assert re.search(r"1234 \S+ slipway release is shifting", text)
    assert "slipway audit verify" in text


@pytest.mark.parametrize(
    ("ratio", "text"), [(float("inf"), "any"), (33.4, "33 ×"), (1.234, "1.2 ×")]
)
def test_ratios_are_short(ratio: float, text: str):
    assert times(ratio) == text


@pytest.mark.parametrize(("log_e", "text"), [(0, "1"), (5.298, "200"), (30, "10¹³")])
def test_evidence_is_written_as_a_number_or_a_power(log_e: float, text: str):
    assert e_value(log_e) == text
