"""What the report says of scores: the card, the choice of metrics and leads, cases, conditions, diagrams."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.verify.report.conftest import MakeReport
from weatherml.variables import TABLE
from weatherml.verify.example import middle_threshold, ranked_cases
from weatherml.verify.report.card import percent, rows, score_card, skill_cell
from weatherml.verify.report.choice import card_leads, chosen_metrics, few_leads
from weatherml.verify.report.curves import condition_groups, score_groups
from weatherml.verify.report.diagrams import reliability_line
from weatherml.verify.report.performance import contours, csi_contour, performance_charts
from weatherml.verify.report.words import DASH, MINUS, metric_label
from weatherml.verify.scores.comparison import compare
from weatherml.verify.scores.scores import Scores

Report = tuple[Scores, str]


@pytest.fixture(scope="module")
def report(make_report: MakeReport) -> Report:
    return make_report(leads=3, size=16, members=4)


def test_the_card_compares_each_forecast_with_baselines_and_others(report: Report) -> None:
    card = score_card(report[0])
    assert card is not None
    pairs = [(table["forecast"], table["reference"]) for table in card["tables"]]
    assert pairs == [("mine", "persistence"), ("mine", "theirs"), ("theirs", "persistence"), ("theirs", "mine")]
    labels = [row["label"] for row in card["tables"][0]["groups"][0]["rows"]]
    assert labels == ["RMSE", "CRPS", "Bias", "CSI ≥ 40 dBZ", "FSS ≥ 40 dBZ, 27 km"]  # one at the middle threshold
    assert card["leads"] == ["1", "2", "3"]


def test_a_card_has_its_numbers_as_csv(report: Report) -> None:
    card = score_card(report[0])
    assert card is not None
    found = list(csv.DictReader(io.StringIO(card["tables"][0]["csv"])))
    row = next(row for row in found if (row["variable"], row["metric"], row["lead time (h)"]) == ("t2m", "rmse", "2"))
    comparison = report[0].comparisons["mine"]["persistence"]["t2m"]["rmse"]
    gain = float(row["persistence"]) - float(row["mine"])  # rmse is perfect at 0
    assert float(row["gain"]) == pytest.approx(gain, rel=1e-4)
    assert float(row["skill"]) == pytest.approx(gain / float(row["persistence"]), rel=1e-4)
    assert float(row["low"]) == pytest.approx(float(comparison.low[1]), rel=1e-5)
    assert row["significant"] == "1"


def test_a_metric_that_a_reference_lacks_is_not_compared(report: Report) -> None:
    assert "spread_skill_ratio" in report[0].curves["mine"]["t2m"]
    assert "Spread / skill" not in {metric_label(row.metric) for row in rows(report[0], "mine", "persistence")}


def test_without_a_reference_there_is_no_card(report: Report) -> None:
    assert score_card(replace(report[0], comparisons={"mine": {}})) is None


def test_cells_tell_sign_strength_and_significance() -> None:
    ours, theirs = (torch.tensor([[value] * 2] * 3, dtype=torch.float64) for value in (1.5, 2.0))
    better = skill_cell(compare(ours, theirs, perfect=0.0, enough=torch.tensor([True, False])), 0, "")
    assert (better["text"], better["side"], better["strength"]) == ("+25", "up", 0.5)  # 0.5 / 2, half of 50 %
    assert better["significant"]
    worse = skill_cell(compare(theirs, ours, perfect=0.0, enough=torch.tensor([True, False])), 1, "")
    assert (worse["text"], worse["side"]) == (f"{MINUS}33", "down")  # -0.5 / 1.5
    assert not worse["significant"]  # no interval


@pytest.mark.parametrize(
    ("skill", "text"),
    [(0.256, "+26"), (-0.5, f"{MINUS}50"), (-31.0, f"<{MINUS}999"), (float("nan"), DASH), (0.0, "+0")],
)
def test_percent(skill: float, text: str) -> None:
    assert percent(skill) == text


def test_leads_are_thinned(report: Report) -> None:
    cases = replace(report[0].cases, lead_times=np.arange(1, 25) * np.timedelta64(3600, "s"))
    counts = {"t2m": torch.ones(24)}
    day = replace(report[0], cases=cases, counts=counts)
    assert [cases.lead_hours[lead] for lead in card_leads(day)] == [3, 6, 9, 12, 15, 18, 21, 24]
    assert [cases.lead_hours[lead] for lead in few_leads(day)] == [1, 12, 24]  # of 1, 6, 12, 24
    short = replace(day, counts={"t2m": torch.arange(24) < 3})  # a truth that ends
    assert card_leads(short) == [0, 1, 2]


def test_one_metric_of_a_kind_is_chosen(report: Report) -> None:
    names = [metric.name for metric in chosen_metrics(report[0], "refc", ("rmse", "csi", "fss"))]
    assert names == ["rmse", "csi_40dbz", "fss_40dbz_27km"]  # thresholds 20, 30, 40, 50; widths 3, 9, 27, 81 km
    assert [metric.name for metric in chosen_metrics(report[0], "t2m", ("rmse", "csi"))] == ["rmse"]
    assert middle_threshold(TABLE["t2m"]) is None


def test_cases_are_ranked_by_their_error() -> None:
    assert ranked_cases(np.array([3.0, np.nan, 1.0, 2.0, 9.0])) == {"best": 2, "median": 3, "worst": 4}  # 1 2 3 9
    assert ranked_cases(np.array([1.0, np.nan, 2.0])) == {}


def test_conditions_have_a_chart_each_label_on_one_scale(report: Report) -> None:
    groups = {group.title: group.charts for group in condition_groups(report[0], "refc")}
    assert [len(charts) for charts in groups.values()] == [12, 6, 3]  # 3 metrics x 4 parts of the day, 2, 1
    hours = groups["By hour of the day (valid time, UTC)"]
    assert [chart.name for chart in hours[:2]] == ["RMSE, 00-06", "RMSE, 06-12"]
    assert len({tuple(re.findall(r'<text class="y".*?</text>', chart.svg)) for chart in hours[:4]}) == 1


def test_csi_contours_pass_where_csi_is_theirs() -> None:
    # success ratio 1 / 2 and POD 1 / 2: one hit, one miss, one false alarm, CSI 1 / 3
    assert csi_contour(1 / 3, np.array([0.5]))[0] == pytest.approx(0.5)
    lines, notes = contours()
    assert all(np.nanmax(line.y) <= 1 + 1e-9 for line in lines)
    assert {text for *_, text in notes} >= {"0.8", "bias 0.5", "bias 4"}


def test_performance_has_a_point_each_threshold(report: Report) -> None:
    first = performance_charts(report[0], "refc")[0]
    found = [row for row in csv.DictReader(io.StringIO(first.csv)) if row["series"] == "mine"]
    assert [row["mark"] for row in found] == ["20 dBZ", "30 dBZ", "40 dBZ", "50 dBZ"]
    curves = report[0].curves["mine"]["refc"]
    assert float(found[1]["success ratio (1 - FAR)"]) == pytest.approx(
        1 - float(curves["far_30dbz"].value[0]), rel=1e-4
    )
    assert float(found[1]["POD"]) == pytest.approx(float(curves["pod_30dbz"].value[0]), rel=1e-4)
    assert performance_charts(report[0], "t2m") == []


def test_reliability_shows_how_often_each_probability_was_said(report: Report) -> None:
    diagram = report[0].diagrams["mine"]["refc"]["brier_30dbz"]
    _, _, share = reliability_line(diagram, 0)
    assert share.sum() == pytest.approx(1, abs=1e-3)  # what is too rare is left out
    group = next(group for group in score_groups(report[0], "refc") if group.title == "Probability of ≥ 30 dBZ")
    reliability = next(chart for chart in group.diagrams if chart.name == "reliability at 1 h")
    assert {row["series"] for row in csv.DictReader(io.StringIO(reliability.csv))} == {"mine", "mine, share"}


def test_object_sizes_stand_beside_the_truth(report: Report) -> None:
    charts = [chart for group in score_groups(report[0], "refc") for chart in group.diagrams]
    sizes = next(chart for chart in charts if chart.name == "object sizes at 1 h")
    assert {row["series"] for row in csv.DictReader(io.StringIO(sizes.csv))} == {
        "mine",
        "theirs",
        "persistence",
        "truth",
    }


def test_the_page_holds_everything_and_names_no_other_file(report: Report) -> None:
    html = report[1]
    assert not re.search(r"""(src|href)=["'](?!data:|#)|url\(|@import|https?://(?!www\.w3\.org)""", html)
    for words in ("Best case", "Median case", "Worst case", "probability of ≥ 40 dBZ", "first of 4 members", "theirs"):
        assert words in html
    assert len(html) < 1_000_000


def test_a_deterministic_forecast_shows_its_error(make_report: MakeReport) -> None:
    html = make_report(leads=2, size=16, members=1)[1]
    assert ">error<" in html
    assert "spread" not in html.split('id="glossary"')[0].split("</style>")[1]
