"""Tables of a scientific parameter: from trials whose truth is known to files that people read."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial, TrialState, create_trial
from reports import shown, tables_of, write_finding
from rich.console import Console

from studies import schema
from studies.analysis.values import row
from studies.analysis.values.row import DesignedStudy
from studies.analysis.values.table import ValueTable, ValueTables, value_tables
from studies.cli.reports import report_study
from studies.config.budget import Budget
from studies.config.composing.configs import compose, group_options
from studies.config.parameter import Parameter
from studies.config.settings import StudySettings
from studies.config.space import SearchSpace
from studies.errors import BadInput
from studies.process.deadline import Deadline
from studies.process.signals import StopSignals
from studies.reporting.figures.values import values_drawing
from studies.reporting.finding import Table
from studies.reporting.sections.values.section import FILES, table_of, values_finding
from studies.reporting.sections.values.words import disagreements_of, seeds_needed, sentence
from studies.search.designs import grid_design
from studies.search.seeds import replicate_of
from studies.storage.creation import open_study
from studies.storage.opening import open_storage
from studies.trial.objective import run_trial
from studies.worker import WorkerContext, work

MakeSettings = Callable[..., StudySettings]
Truth = Callable[[Mapping[str, Any]], float | None]
TABLES = [name for name in group_options("study") if name.startswith("tables/")]
pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*log_every_n_steps.*")


@pytest.fixture
def make_settings(make_settings: MakeSettings) -> MakeSettings:
    """Settings with six seeds a cell, unless a test gives another number: tables have more than a test needs."""
    return lambda *more, study="": make_settings("replicates=6", *more, study=study) if study else make_settings(*more)


def trials_of(settings: StudySettings, truth: Truth, *, noise: float = 0.001, **attributes: Any) -> list[FrozenTrial]:
    """Every slot of a grid, with values around what is true of its point; None diverges."""
    rng = np.random.default_rng(0)
    design = grid_design(settings.space, seed=settings.seed, replicates=settings.replicates)
    seeds = rng.normal(0, 0.02, settings.replicates)  # what a seed does to all points alike
    trials = []
    for slot in range(settings.n_trials):
        point, replicate, value = design(slot), replicate_of(settings, slot), truth(design(slot))
        recorded = {
            schema.REPLICATE: replicate,
            schema.SECONDS: 2.0,
            schema.RUNG_SECONDS: [0.2 * rung for rung in range(1, 11)],
            schema.SAMPLES_SEEN: [100 * rung for rung in range(1, 11)],
            schema.CONVERGENCE: 4,
            schema.PEAK_MEMORY_MB: 50.0,
            schema.DEVICE: "cpu",
            schema.WORKER: "host:1:2:3",
            **attributes,
        }
        common: dict[str, Any] = {
            "params": point,
            "distributions": {p.name: p.distribution() for p in settings.space if p.name in point},
            "intermediate_values": {rung: 0.4 if rung < 4 else 0.5 for rung in range(1, 11)},
        }
        if value is None:
            common["user_attrs"] = {**recorded, schema.FAILURE: "diverged"}
            trials.append(create_trial(state=TrialState.PRUNED, **common))
            continue
        measured = value + seeds[replicate] + rng.normal(0, noise)
        recorded[schema.TEST] = {"test/accuracy": measured - 0.01, "n": 750}
        trials.append(create_trial(state=TrialState.COMPLETE, value=measured, user_attrs=recorded, **common))
    return trials


USUAL = {"sgd": 1e-1, "momentum": 1e-1, "nesterov": 1e-1, "adagrad": 1e-2, "rmsprop": 1e-3, "adam": 1e-3, "adamw": 1e-3}


def sgd_wants_another_rate(point: Mapping[str, Any]) -> float:
    """At their usual learning rates Adam is ahead; at its own best, a decade higher, plain SGD is."""
    best = {"sgd": 1.0}.get(point["optimizer"], USUAL[point["optimizer"]])
    top = {"sgd": 0.95, "adam": 0.93}.get(point["optimizer"], 0.90)
    return top - 0.05 * abs(np.log10(point["lr"] / best))


def test_each_value_is_judged_at_its_own_best_and_the_defaults_may_say_otherwise(make_settings: MakeSettings) -> None:
    settings = make_settings(study="tables/optimizer")
    tables = tables_of(trials_of(settings, sgd_wants_another_rate), settings)
    assert tables is not None
    assert tables.tuned is not None
    assert tables.fixed is not None
    assert (tables.fixed.best.label, tables.tuned.best.label) == ("adam", "sgd")  # type: ignore[union-attr]
    rows = {row.label: row for row in tables.tuned.rows}
    assert rows["sgd"].nuisance == {"lr": 1.0}
    assert rows["sgd"].at_limit == ("lr",)
    assert rows["adam"].nuisance == {"lr": 1e-3}
    assert rows["sgd"].metric is not None
    assert rows["sgd"].metric.value == pytest.approx(0.95, abs=0.02)
    assert rows["sgd"].test is not None
    assert rows["sgd"].test.value == pytest.approx(rows["sgd"].metric.value - 0.01)
    assert rows["adam"].standing.word == "worse"
    assert (rows["sgd"].seconds, rows["sgd"].convergence_seconds) == (2.0, pytest.approx(0.8))
    assert (rows["sgd"].convergence_epochs, rows["sgd"].convergence_samples, rows["sgd"].n) == (4, 400, 6)
    assert any("at the end of what was tried" in note for note in tables.notes)
    (told,) = [line for line in disagreements_of(tables) if line.startswith("sgd is lower than adam by ")]
    assert any(
        re.match(r"sgd is \w+ than momentum by 0\.\d{4} \(not shown\)", line) for line in disagreements_of(tables)
    )
    assert re.search(r"0\.\d{4} at the defaults, higher by 0\.\d{4} when each is tuned: the difference changes", told)


@pytest.fixture
def two_by_two(make_settings: MakeSettings) -> MakeSettings:
    """Two values of dropout with two learning rates each, the first of which is the config's own; four seeds a cell."""
    small = ("search_space.dropout.levels=[0.0,0.8]", "search_space.lr.levels=[1e-3,1e-2]", "replicates=4")
    return lambda *more: make_settings(*small, *more, study="tables/dropout")


def tuned(trials: list[FrozenTrial], settings: StudySettings) -> ValueTable:
    tables = tables_of(trials, settings)
    assert tables is not None
    assert tables.tuned is not None
    return tables.tuned


def test_times_and_memory_are_those_of_the_best_cell(two_by_two: MakeSettings) -> None:
    settings = two_by_two()
    trials = trials_of(settings, lambda p: 0.9 if p["lr"] == 1e-2 else 0.5)
    for trial in trials:
        if trial.params["lr"] == 1e-2:
            trial.user_attrs |= {
                schema.SECONDS: 7.0,
                schema.RUNG_SECONDS: [0.7 * rung for rung in range(1, 11)],
                schema.SAMPLES_SEEN: [300 * rung for rung in range(1, 11)],
                schema.PEAK_MEMORY_MB: 80.0,
            }
    for found in tuned(trials, settings).rows:
        assert found.nuisance == {"lr": 1e-2}
        assert (found.seconds, found.peak_memory_mb) == (7.0, 80.0)
        assert (found.convergence_seconds, found.convergence_samples) == (pytest.approx(2.8), 1200)


def test_a_best_level_of_two_is_no_limit_for_there_is_nothing_between_them(two_by_two: MakeSettings) -> None:
    settings = two_by_two()
    rows = tuned(trials_of(settings, lambda p: 0.9 if p["lr"] == 1e-2 else 0.5), settings).rows
    assert [found.at_limit for found in rows] == [(), ()]
    settings = two_by_two("search_space.lr.levels=[3e-4,1e-3,1e-2]")
    rows = tuned(trials_of(settings, lambda p: 0.9 if p["lr"] == 1e-2 else 0.5), settings).rows
    assert [found.at_limit for found in rows] == [("lr",), ("lr",)]


def test_the_test_part_is_told_of_the_cells_in_which_each_seed_is_judged(two_by_two: MakeSettings) -> None:
    """The seeds 1 and 3 choose .001 for 0 and 2, which choose .01 for them; .01 is the best by all. Tests give .1 in
    one and .5 in the other: .3 in the mean, .5 in the cell that is best by all."""
    settings = two_by_two()
    values = {1e-3: (0.1, 0.9, 0.3, 0.9), 1e-2: (0.9, 0.5, 0.9, 0.7)}
    trials = trials_of(settings, lambda _: 0.0)
    for trial in trials:
        lr = trial.params["lr"]
        trial.value = values[lr][trial.user_attrs[schema.REPLICATE]]
        trial.user_attrs[schema.TEST] = {"test/accuracy": 0.1 if lr == 1e-3 else 0.5, "n": 750}
    for found in tuned(trials, settings).rows:
        assert found.nuisance == {"lr": 1e-2}
        assert found.metric is not None
        assert found.test is not None
        assert (found.metric.value, found.test.value) == pytest.approx((0.4, 0.3))


def test_the_interval_of_an_accuracy_ends_at_1_and_keeps_its_half_width(two_by_two: MakeSettings) -> None:
    settings = two_by_two()
    trials = trials_of(settings, lambda _: 0.0)
    for trial in trials:
        value = (0.99, 1.0, 0.95, 1.0)[trial.user_attrs[schema.REPLICATE]]
        trial.value, trial.user_attrs[schema.TEST] = value, {"test/accuracy": value}
    for value_row in tuned(trials, settings).rows:
        for found in (value_row.metric, value_row.test):
            assert found is not None
            assert found.lo is not None
            assert found.hi == 1.0
            assert found.half_width == found.value - found.lo > 1.0 - found.value


def test_a_budget_that_is_not_in_epochs_tells_no_epochs_of_convergence(two_by_two: MakeSettings) -> None:
    settings = two_by_two()
    in_steps = replace(settings, budget=Budget("steps", 500, 10))
    trials = trials_of(settings, lambda _: 0.9)
    assert {found.convergence_epochs for found in tuned(trials, settings).rows} == {4}
    assert {found.convergence_epochs for found in tuned(trials, in_steps).rows} == {None}
    assert {found.convergence_samples for found in tuned(trials, in_steps).rows} == {400}


@pytest.mark.parametrize("reads_backwards", [False, True])
def test_of_two_trainings_of_one_slot_the_later_counts(reads_backwards: bool, two_by_two: MakeSettings) -> None:
    settings = two_by_two("mode=fixed")
    first, later = trials_of(settings, lambda _: 0.5, noise=0.0), trials_of(settings, lambda _: 0.9, noise=0.0)
    trials = [*first, *later]
    for number, trial in enumerate(trials):
        trial.number = number
    for trial in later:
        trial.user_attrs[schema.SECONDS] = 7.0
    tables = tables_of(trials[::-1] if reads_backwards else trials, settings)
    assert tables is not None
    mean = np.mean([trial.value for trial in later if trial.params["dropout"] == 0.0])
    for found in tables.main.rows:
        assert found.metric is not None
        assert (found.n, found.seconds, found.metric.value) == (4, 7.0, pytest.approx(mean))


@pytest.mark.parametrize(("level", "is_default"), [(1e-3 * (1 + 1e-9), True), (1.05e-3, False), (0.95e-3, False)])
def test_a_level_5_percent_off_the_configs_own_value_is_another(
    level: float, is_default: bool, two_by_two: MakeSettings
) -> None:
    settings = two_by_two(f"search_space.lr.levels=[{level},1e-2]")
    tables = tables_of(trials_of(settings, lambda _: 0.9), settings)
    assert tables is not None
    assert (tables.fixed is not None) == is_default


def test_a_choice_is_the_configs_own_by_its_own_entries() -> None:
    """The config's optimizer has a learning rate, too, which another parameter may set."""
    optimizers = {"adam": {"_target_": "Adam"}, "sgd": {"_target_": "SGD"}}
    dropout = Parameter("dropout", ("dropout",), "float", 0.0, 1.0, levels=(0.0, 0.5), role="scientific")
    optimizer = Parameter("optimizer", ("optimizer",), "categorical", choices=optimizers, levels=("adam", "sgd"))
    space = SearchSpace((dropout, optimizer))
    config = OmegaConf.create({"dropout": 0.1, "optimizer": {"_target_": "Adam", "lr": 0.1}})
    design = DesignedStudy(space, config, "accuracy", True, 0.01, 4, 16, 1, has_epochs=True, varies_nuisance=True)
    distributions = {parameter.name: parameter.distribution() for parameter in space}
    trials = [
        create_trial(value=0.9 + r / 100, params=cell, distributions=distributions, user_attrs={schema.REPLICATE: r})
        for cell in space.grid()
        for r in range(4)
    ]
    found = value_tables(trials, design)
    assert found is not None
    assert found.fixed is not None
    assert [row.judged for row in found.fixed.rows] == [({"optimizer": "adam"},)] * 2


def test_the_best_is_shown_to_be_so_only_where_every_other_value_has_a_number(make_settings: MakeSettings) -> None:
    settings = make_settings("mode=fixed", study="tables/dropout")
    all_known = tables_of(trials_of(settings, lambda p: 0.9 - 0.5 * p["dropout"]), settings)
    one_diverged = tables_of(
        trials_of(settings, lambda p: None if p["dropout"] == 0.8 else 0.9 - 0.5 * p["dropout"]), settings
    )
    assert all_known is not None
    assert one_diverged is not None
    for table in (all_known.main, one_diverged.main):
        assert table.equivalent == table.not_shown == []
    assert [row.label for row in all_known.main.worse] == ["0.8", "0.6", "0.4", "0.2", "0.1"]
    assert "shown to be the best" in sentence(all_known.main)
    assert "shown to be the best" not in sentence(one_diverged.main)


@pytest.mark.parametrize(
    ("metric", "tested"),
    [
        *(("val/accuracy", "test/accuracy"), ("valid_loss", "test_loss"), ("accuracy_validation", "accuracy_test")),
        *(("eval/f1", "test/f1"), ("interval/score", "interval/score"), ("valAcc", "testAcc"), ("value", "value")),
    ],
)
def test_a_metric_has_its_counterpart_in_testing(metric: str, tested: str) -> None:
    assert row.test_metric(metric) == tested


def test_equal_values_are_equivalent(make_settings: MakeSettings) -> None:
    settings = make_settings("mode=fixed", study="tables/dropout")
    tables = tables_of(trials_of(settings, lambda _: 0.9), settings)
    assert tables is not None
    assert tables.tuned is None
    assert len(tables.main.equivalent) == 5
    assert "; equivalent within 0.01: " in sentence(tables.main)
    assert "worse" not in sentence(tables.main)
    assert "not shown" not in sentence(tables.main)


def test_a_value_that_diverges_everywhere_has_no_number_and_is_told(make_settings: MakeSettings) -> None:
    settings = make_settings("mode=fixed", study="tables/dropout")
    tables = tables_of(trials_of(settings, lambda p: None if p["dropout"] == 0.8 else 0.9), settings)
    assert tables is not None
    last = tables.main.rows[-1]
    assert (last.label, last.metric, last.n_lost, last.standing.word) == ("0.8", None, 6, "none")
    assert any("0.8 (6)" in note for note in tables.notes)


def test_times_of_two_machines_are_not_to_be_compared(make_settings: MakeSettings) -> None:
    settings = make_settings("mode=fixed", study="tables/dropout")
    trials = trials_of(settings, lambda _: 0.9)
    trials[0].user_attrs[schema.WORKER] = "elsewhere:1:2:3"
    tables = tables_of(trials, settings)
    assert tables is not None
    assert any("do not compare" in note for note in tables.notes)


def test_a_study_without_a_scientific_parameter_has_no_table(make_settings: MakeSettings) -> None:
    settings = make_settings("search_space.batch_size.role=nuisance", study="digits_grid")
    assert tables_of(trials_of(settings, lambda _: 0.9), settings) is None


@pytest.mark.usefixtures("pictures")
def test_the_four_files_tell_the_same(make_settings: MakeSettings, tmp_path: Path) -> None:
    settings = make_settings(study="tables/optimizer")
    tables = tables_of(trials_of(settings, sgd_wants_another_rate), settings)
    assert tables is not None
    write_finding(tmp_path, values_finding(tables), title="50 % & more_than <that>")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "table.csv").read_text())))
    assert [row["view"] for row in rows] == ["tuned"] * 7 + ["fixed"] * 7
    best = next(row for row in rows if row["standing"] == "best")
    value, lo, hi = (float(best[column]) for column in ("metric", "metric_lo", "metric_hi"))
    shown = f"{value:.4f} [{lo:.4f}, {hi:.4f}]"
    markdown, page = (tmp_path / "table.md").read_text(), (tmp_path / "table.html").read_text()
    latex = (tmp_path / "table.tex").read_text()
    assert shown in markdown
    assert shown in page
    assert shown in latex
    assert "&lt;that&gt;" in page
    assert r"50 \% \& more\_than" in latex
    assert latex.count(r"\begin{tabular}") == 2
    cells = [line.count("&") - line.count(r"\&") for line in latex.splitlines() if line.endswith(r"\\")]
    assert cells == [10] * 8 + [9] * 8
    assert all((tmp_path / name).stat().st_size for name in FILES)


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_one_question_ten_validations_and_the_defaults_among_its_cells(
    name: str, make_settings: MakeSettings
) -> None:
    settings = make_settings(study=name)
    assert settings.objective.test
    assert settings.budget.rungs >= 10
    assert compose([f"+study={name}"]).replicates >= 16, "a pilot shows that fewer decide too few values"
    assert compose([f"+study={name}", "size=full"]).replicates == 48
    trials = trials_of(settings, lambda _: 0.9)
    tables = tables_of(trials, settings)
    assert tables is not None
    assert tables.fixed is not None, "the table cannot say what mode=fixed would"
    assert all(row.metric is not None for row in tables.fixed.rows)
    fixed = make_settings("mode=fixed", study=name)
    assert fixed.study_name != settings.study_name
    assert fixed.n_trials == len(tables.fixed.rows) * settings.replicates


def test_fixed_needs_a_question(make_settings: MakeSettings) -> None:
    with pytest.raises(BadInput, match="no parameter is scientific"):
        make_settings("mode=fixed")
    with pytest.raises(BadInput, match="mode"):
        make_settings("mode=tune")


def test_a_table_of_real_trainings_is_written_with_its_report(make_settings: MakeSettings) -> None:
    settings = make_settings(
        *("launcher=serial", "datamodule=digits", "replicates=2", "budget.amount=2"),
        "search_space.lr.levels=[1e-3,1e-2]",
        "search_space.n_layers.high=1",
        study="tables/number_of_layers",
    )
    storage = open_storage(settings.storage.address)
    study = open_study(settings, storage)
    work(
        storage,
        context=WorkerContext(settings, "here", Deadline(datetime.now(), None), StopSignals()),
        run_trial=run_trial,
    )
    printed = io.StringIO()
    report_study(study, settings, console=Console(file=printed, soft_wrap=True))
    report = (settings.output_dir / "report.md").read_text()
    assert "## n_layers, value by value" in report
    assert "figures/values.png" in report
    assert "n_layers = " in printed.getvalue()
    rows = list(csv.DictReader(io.StringIO((settings.output_dir / "table.csv").read_text())))
    assert len(rows) == 4
    assert all(0 < float(row["convergence_seconds"]) <= float(row["seconds"]) for row in rows)
    assert all(0.2 < float(row["test"]) < 1 for row in rows)


def test_a_difference_that_one_view_shows_and_the_other_does_not_is_no_disagreement(
    make_settings: MakeSettings,
) -> None:
    """Idle learning rates: the halves choose different cells, which makes the tuned view's intervals wider."""
    settings = make_settings(study="tables/optimizer")

    def truth(point: Mapping[str, Any]) -> float:
        return 0.9 + 0.012 * list(USUAL).index(point["optimizer"])

    tables = tables_of(trials_of(settings, truth, noise=0.01), settings)
    assert tables is not None
    assert tables.tuned is not None
    assert tables.fixed is not None
    before, after = tables.fixed.ranking, tables.tuned.ranking
    assert any(before.verdict(i, j) != after.verdict(i, j) for i in range(7) for j in range(i))
    assert disagreements_of(tables) == []
    assert "no pair of values changes its difference" in shown(values_finding(tables))
    alone = trials_of(settings, lambda point: truth(point) if point["optimizer"] == "sgd" else None)
    tables = tables_of(alone, settings)
    assert tables is not None
    assert "no pair of values" not in shown(values_finding(tables)), "there is no pair"


def test_a_row_shows_every_cell_that_judges_it(make_settings: MakeSettings, tmp_path: Path) -> None:
    settings = make_settings("search_space.lr.levels=[0.003,0.01]", study="tables/neurons_per_layer")
    trials = trials_of(settings, lambda point: 0.9, noise=0)
    for trial in trials:  # the even seeds are best at the greater rate, by which the odd ones are judged
        is_even = trial.user_attrs[schema.REPLICATE] % 2 == 0
        trial.value = (0.97 if is_even else 0.9) if trial.params["lr"] > 0.005 else 0.92
        trial.value += 0.001 * trial.user_attrs[schema.REPLICATE]
    tables = tables_of(trials, settings)
    assert tables is not None
    row = tables.main.rows[0]
    assert row.nuisance == {"lr": 0.01}
    assert row.judged == ({"lr": 0.003}, {"lr": 0.01})
    write_finding(tmp_path, values_finding(tables), title="two cells")
    for name in ("table.md", "table.html", "table.tex", "table.csv"):
        assert "0.003, 0.01" in (tmp_path / name).read_text()
    assert '"lr=0.003, 0.01"' in (tmp_path / "table.csv").read_text()
    assert (tmp_path / "table.csv").read_text().splitlines()[1].endswith(",lr=0.01")
    assert sum("two halves of the seeds chose" in note for note in tables.notes) == 1


def with_values(settings: StudySettings, values: Mapping[float, list[float]]) -> list[FrozenTrial]:
    trials = trials_of(settings, lambda _: 0.5)
    for trial in trials:
        trial.value = values[trial.params["dropout"]][trial.user_attrs[schema.REPLICATE]]
    return trials


def of_two(make_settings: MakeSettings, values: Mapping[float, list[float]], *more: str) -> ValueTables:
    settings = make_settings(*more, "search_space.dropout.levels=[0.0,0.5]", "replicates=4", study="tables/dropout")
    tables = tables_of(with_values(settings, values), settings)
    assert tables is not None
    return tables


def test_a_value_that_is_not_shown_says_how_many_seeds_it_takes(make_settings: MakeSettings, tmp_path: Path) -> None:
    """By hand: the differences -0.01, -0.03, 0.01, -0.01 have mean -0.01 and standard error √(8/3)/200 = 0.00816. t(3)
    is 2.353 at .95 and 3.182 at .975. (2.074 + 0.858) · 0.01633 / √23 = 0.00998 is the first below 0.01: 19 more."""
    values = {0.0: [0.9, 0.91, 0.92, 0.93], 0.5: [0.89, 0.88, 0.93, 0.92]}
    tables = of_two(make_settings, values, "mode=fixed")
    text = shown([table_of(tables.main)])
    assert "| not shown (about 20 more seeds), -0.0100 [-0.0292, 0.0160] |" in text
    assert "Not shown: neither of these" in text
    assert sentence(tables.main).endswith("(n = 4); not shown (more seeds it takes): 0.5 (about 20).")
    assert "(n = 4), all else at its default; not shown" in sentence(tables.main, how=True)
    write_finding(tmp_path, values_finding(tables), title="open")
    (_, row) = csv.DictReader(io.StringIO((tmp_path / "table.csv").read_text()))
    assert (row["standing"], row["more_seeds"], row["at_least"]) == ("not_shown", "19", "")
    assert "about 25 seeds in all would decide 0.5" in (tmp_path / "table.md").read_text()


def test_a_value_that_is_open_in_both_views_takes_the_seeds_of_the_one_that_needs_more(
    make_settings: MakeSettings,
) -> None:
    values = {0.0: [0.9, 0.91, 0.92, 0.93], 0.5: [0.89, 0.88, 0.93, 0.92]}
    table = of_two(make_settings, values, "mode=fixed").main
    first, second = table.rows
    more = replace(second, standing=replace(second.standing, more_seeds=96))
    needy = replace(table, rows=(first, more))
    for tuned, fixed in ((needy, table), (table, needy)):
        (told,) = seeds_needed(ValueTables(tuned, fixed, (), ()))
        assert told.startswith("about 100 seeds in all would decide 0.5")


def test_losers_are_named_first_the_worst_at_the_head(make_settings: MakeSettings) -> None:
    truth = {0.0: 0.9, 0.1: 0.9, 0.2: 0.8, 0.4: 0.8945, 0.6: 0.7, 0.8: 0.85}
    settings = make_settings("mode=fixed", study="tables/dropout")
    trials = trials_of(settings, lambda point: truth[point["dropout"]])
    for trial in trials:
        if trial.params["dropout"] == 0.4:
            trial.value += 0.008 * (-1) ** trial.user_attrs[schema.REPLICATE]  # type: ignore[operator]
    tables = tables_of(trials, settings)
    assert tables is not None
    told = re.sub(r" gives .*?\)|0\.\d{4}", "", sentence(tables.main))
    assert told == (
        "dropout = 0; worse (by at least): 0.6 (), 0.2 () and 0.8 (); equivalent within 0.01: 0.1; "
        "not shown (more seeds it takes): 0.4 (about 35)."
    )


def test_a_metric_without_a_usual_margin_has_no_equivalent_values_until_one_is_set(make_settings: MakeSettings) -> None:
    for more, n, told in (
        (("objective.metric=val/loss", "objective.direction=minimize"), 0, "val/loss has no usual margin"),
        (("objective.metric=val/loss", "objective.direction=minimize", "analysis.margin=0.02"), 5, "less than 0.02"),
        (("analysis.margin=0.0001",), 0, "less than 0.0001"),
    ):
        settings = make_settings("mode=fixed", *more, study="tables/dropout")
        tables = tables_of(trials_of(settings, lambda _: 0.9), settings)
        assert tables is not None
        assert len(tables.main.equivalent) == n
        assert told in shown([table_of(tables.main)])


def test_every_medium_has_the_standing_of_each_value(make_settings: MakeSettings, tmp_path: Path) -> None:
    truth = {0.0: 0.9, 0.1: 0.9, 0.2: 0.8, 0.4: 0.9, 0.6: 0.7, 0.8: 0.85}
    settings = make_settings("mode=fixed", study="tables/dropout")
    tables = tables_of(trials_of(settings, lambda point: truth[point["dropout"]]), settings)
    assert tables is not None
    write_finding(tmp_path, values_finding(tables), title="all")
    words = [row.standing.word for row in tables.main.rows]
    assert sorted(words) == ["best", "equivalent", "equivalent", "worse", "worse", "worse"]
    for name in ("table.csv", "figures/values.csv"):
        rows = csv.DictReader(io.StringIO((tmp_path / name).read_text()))
        assert [row["standing"] for row in rows] == words
    (table,) = (block for block in values_finding(tables).blocks if isinstance(block, Table))
    assert list(table.marks) == words
    page = (tmp_path / "table.html").read_text()
    assert re.findall('<tr class="(.*?)">', page) == words
    for name in ("table.md", "table.html", "table.tex"):
        text = (tmp_path / name).read_text()
        assert len(re.findall(r"worse by 0\.\d{4} at least, ", text)) == 3
        assert len(re.findall(r"equivalent within 0\.01, ", text)) == 2


def test_nothing_has_no_sign_and_equal_values_no_width(make_settings: MakeSettings, tmp_path: Path) -> None:
    values = {0.0: [0.9875] * 4, 0.5: [0.9875 - 1e-8, 0.9875, 0.9875 + 1e-9, 0.9875]}
    tables = of_two(make_settings, values, "mode=fixed")
    write_finding(tmp_path, values_finding(tables), title="flat")
    text = (tmp_path / "table.md").read_text()
    assert "0.9875 (all equal)" in text
    assert "equivalent within 0.01, 0.0000 [0.0000, 0.0000]" in text
    assert "0.0000 [0.0000" in text
    assert "-0.0000" not in text
    rows = list(csv.DictReader(io.StringIO((tmp_path / "table.csv").read_text())))
    assert [(row["metric_lo"], row["metric_hi"]) for row in rows] == [("", "")] * 2


def test_all_values_equal_everywhere_have_no_interval_of_their_difference(make_settings: MakeSettings) -> None:
    tables = of_two(make_settings, {0.0: [0.9] * 4, 0.5: [0.9] * 4}, "mode=fixed")
    assert "| not shown, 0.0000 (all equal) |" in shown([table_of(tables.main)])


def test_a_table_without_nuisance_parameters_speaks_of_no_halves_and_no_default(make_settings: MakeSettings) -> None:
    settings = make_settings(study="digits_grid")
    names = [parameter.name for parameter in settings.space]
    settings = make_settings(*(f"++search_space.{name}.role=scientific" for name in names), study="digits_grid")
    tables = tables_of(trials_of(settings, lambda _: 0.9), settings)
    assert tables is not None
    text = shown(values_finding(tables)) + sentence(tables.main)
    assert "no nuisance parameter was varied" in text
    assert not re.search("mode=|default|half|best over", text)
    fixed = make_settings("mode=fixed", study="tables/dropout")
    named = tables_of(trials_of(fixed, lambda _: 0.9), fixed)
    assert named is not None
    assert "All else at its default (mode=fixed)" in shown(values_finding(named))
    assert "half" not in shown(values_finding(named))


def test_trainings_at_the_same_time_are_counted_by_their_overlap(make_settings: MakeSettings) -> None:
    settings = make_settings("mode=fixed", study="tables/dropout")
    trials = trials_of(settings, lambda _: 0.9)
    begin = datetime(2026, 1, 1)
    for k, trial in enumerate(trials):  # two beside each other, by four workers in turn
        trial.datetime_start = begin + timedelta(seconds=10 * (k // 2))
        trial.datetime_complete = begin + timedelta(seconds=10 * (k // 2 + 1))
        trial.user_attrs[schema.WORKER] = f"host:1:2:{k % 4}"
    tables = tables_of(trials, settings)
    assert tables is not None
    assert any("up to 2 trainings at the same time" in note for note in tables.notes)


def test_a_value_without_a_whole_cell_says_what_it_needs(make_settings: MakeSettings) -> None:
    settings = make_settings("mode=fixed", study="tables/dropout")
    first = [t for t in trials_of(settings, lambda _: 0.9) if t.user_attrs[schema.REPLICATE] == 0]
    tables = tables_of(first, settings)
    assert tables is not None
    assert sentence(tables.main) == (
        "No value of dropout has a result: that needs a cell that all 6 seeds trained to the end."
    )


def test_the_page_fits_a_narrow_window_and_says_the_verdict(make_settings: MakeSettings, tmp_path: Path) -> None:
    settings = make_settings(study="tables/optimizer")
    tables = tables_of(trials_of(settings, sgd_wants_another_rate), settings)
    assert tables is not None
    write_finding(tmp_path, values_finding(tables), title="page")
    page, latex = (tmp_path / "table.html").read_text(), (tmp_path / "table.tex").read_text()
    assert '<meta name="viewport"' in page
    assert page.index(sentence(tables.main)) < page.index("<table>")
    assert page.count(sentence(tables.main)) == 1
    assert page.count('<div class="scroll" tabindex="0"><table>') == 2
    assert "td{white-space:nowrap}" in page
    assert f"% {disagreements_of(tables)[0]}\n" in latex
    assert all(f"% {note}\n" in latex for note in tables.notes)
    assert "optimizer = sgd gives" in latex.replace(r"\_", "_")


def test_a_value_far_off_does_not_squeeze_the_best_ones_in_the_figure(make_settings: MakeSettings) -> None:
    settings = make_settings("mode=fixed", study="tables/dropout")
    tables = tables_of(trials_of(settings, lambda p: 0.1 if p["dropout"] == 0.8 else 0.9), settings)
    assert tables is not None
    figure = Figure()
    drawing = values_drawing([tables.main], metric="val/accuracy")
    drawing.draw(figure, drawing.rows)
    (axes,) = figure.axes
    assert axes.get_ylim()[0] > 0.8
    assert f"{tables.main.rows[-1].metric.value:.4g}" in [text.get_text() for text in axes.texts]  # type: ignore[union-attr]
    near = tables_of(trials_of(settings, lambda _: 0.9), settings)
    assert near is not None
    drawing, figure = values_drawing([near.main], metric="val/accuracy"), Figure()
    drawing.draw(figure, drawing.rows)
    assert not figure.axes[0].texts
