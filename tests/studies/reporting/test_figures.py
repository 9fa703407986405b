from __future__ import annotations

import csv
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import create_trial
from reports import write_finding

from studies.analysis.analyse import Analysis, analyse
from studies.analysis.axis import Axis, levelled
from studies.analysis.estimate import Estimate
from studies.analysis.pareto import Goal, front_of
from studies.analysis.table import trials_table
from studies.reporting.figures import scale
from studies.reporting.figures.coverage import coverage
from studies.reporting.figures.front import front_drawing
from studies.reporting.figures.levels import metric_by_level
from studies.reporting.figures.main_effect import main_effects
from studies.reporting.figures.paint import numbers, series, within
from studies.reporting.figures.pair_matrix import pair_matrix
from studies.reporting.figures.subject import short, title
from studies.reporting.figures.surfaces import surfaces
from studies.reporting.finding import Drawing, Rows
from studies.reporting.layout import safe
from studies.reporting.sections.effects.section import drawings

pytestmark = pytest.mark.usefixtures("pictures")

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SLOPES = np.log10([16, 32, 64, 128, 256, 512]) * 0.5


def rows_of(path: Path, series: str | None = None) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if series is None or row["series"] == series]


def column(rows: Sequence[dict[str, str]], name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([float(row[name]) for row in rows])


@pytest.fixture(scope="module")
def folder(known: Analysis, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_finding(folder, drawings(known, metric="val/loss"))
    return folder / "figures"


def test_every_figure_lies_beside_its_numbers_under_a_safe_name(folder: Path) -> None:
    pictures = {path.stem for path in folder.glob("*.png")}
    assert pictures == {path.stem for path in folder.glob("*.csv")}
    assert pictures == {
        *("interactions", "main_model_lr", "main_batch_size", "surface_model_lr_batch_size"),
        *("loss_against_model_lr_for_each_batch_size", "leave_one_out", "coverage", "tuning"),
    }
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in folder.glob("*.png"))


def test_the_figure_on_tuning_shows_the_losses_of_the_table(folder: Path, known: Analysis) -> None:
    rows = rows_of(folder / "tuning.csv")
    assert [row["params"] for row in rows] == [row.name for row in known.tunability]
    assert list(column(rows, "loss")) == [row.loss.value for row in known.tunability]
    assert set(column(rows, "tolerance")) == {known.tunability[0].tolerance}


def test_a_main_effect_is_the_mean_over_the_other_parameter(folder: Path, known: Analysis) -> None:
    """Truth: .3 ((u + 3.5 − mean)² + variance) over the equally likely batch sizes, u = log10 lr."""
    fitted = rows_of(folder / "main_model_lr.csv", "fit")
    u = np.log10(column(fitted, "params_model.lr"))
    assert (u[0], u[-1]) == (pytest.approx(-4), pytest.approx(-1))
    truth = 0.3 * ((u + 3.5 - SLOPES.mean()) ** 2 + SLOPES.var())
    value, lo, hi = (column(fitted, name) for name in ("value", "ci_lo", "ci_hi"))
    assert np.abs(value - truth).max() < 0.1
    assert np.mean((lo <= truth) & (truth <= hi)) > 0.6
    assert np.all(lo < hi)
    trials = rows_of(folder / "main_model_lr.csv", "trial")
    assert [int(row["trial"]) for row in trials] == known.table.numbers.tolist()
    assert column(trials, "value").tolist() == known.table.y.tolist()
    assert column(trials, "params_model.lr") == pytest.approx(10 ** known.table.x[:, 0])


def test_a_power_of_two_is_drawn_at_its_levels(folder: Path) -> None:
    fitted = rows_of(folder / "main_batch_size.csv", "fit")
    assert [row["params_batch_size"] for row in fitted] == ["16", "32", "64", "128", "256", "512"]


def test_the_surface_is_split_into_mains_and_interaction(folder: Path) -> None:
    """Truth: what is left of a ridge without its main effects is −.6 (u − E u)(s − E s), and the noise is small."""
    cells = rows_of(folder / "surface_model_lr_batch_size.csv", "surface")
    u, s = np.log10(column(cells, "params_model.lr")), 0.5 * np.log10(column(cells, "params_batch_size"))
    truth = 0.3 * (u + 3.5 - s) ** 2
    alone = -0.6 * (u + 2.5) * (s - SLOPES.mean())
    assert np.abs(column(cells, "fitted") - truth).max() < 0.15
    assert np.abs(column(cells, "interaction") - alone).max() < 0.1
    assert column(cells, "sd").min() > 0


def test_the_ridge_and_both_laws_cross_in_its_middle(folder: Path, known: Analysis) -> None:
    path = folder / "surface_model_lr_batch_size.csv"
    slopes = {}
    for name in ("ridge", "slope 1/2", "slope 1"):
        line = rows_of(path, name)
        x, y = np.log10(column(line, "params_batch_size")), np.log10(column(line, "params_model.lr"))
        slopes[name] = (y[-1] - y[0]) / (x[-1] - x[0])
        assert y.mean() == pytest.approx(np.mean([point[1] for point in known.ridges[0].points]))
    assert slopes == {
        "ridge": pytest.approx(known.ridges[0].alpha.value),
        "slope 1/2": pytest.approx(0.5),
        "slope 1": pytest.approx(1.0),
    }


def test_each_batch_size_has_its_line_and_its_trials(folder: Path) -> None:
    path = folder / "loss_against_model_lr_for_each_batch_size.csv"
    fitted, trials = rows_of(path, "fit"), rows_of(path, "trial")
    assert list(dict.fromkeys(row["level"] for row in fitted)) == ["16", "32", "64", "128", "256", "512"]
    assert all(row["level"] == row["params_batch_size"] for row in trials)
    assert len(trials) == 60
    best = {}
    for level in ("16", "512"):
        line = [row for row in fitted if row["level"] == level]
        best[level] = math.log10(float(min(line, key=lambda row: float(row["value"]))["params_model.lr"]))
    assert best["512"] - best["16"] == pytest.approx(0.5 * math.log10(32), abs=0.25)


def test_left_out_predictions_are_those_of_the_fit(folder: Path, known: Analysis) -> None:
    rows = rows_of(folder / "leave_one_out.csv")
    assert known.whole.sobol is not None
    assert column(rows, "predicted").tolist() == known.whole.sobol.predicted.tolist()
    assert column(rows, "value").tolist() == known.table.y.tolist()


def test_the_matrix_has_each_pair_once_and_shows_what_is_not_claimed(
    folder: Path, known: Analysis, conditional: Analysis
) -> None:
    rows = rows_of(folder / "interactions.csv")
    assert [(row["row"], row["column"], row["is_solid"]) for row in rows] == [
        ("model.lr", "model.lr", "True"),
        ("batch_size", "batch_size", "True"),
        ("batch_size", "model.lr", "True"),
    ]
    assert [float(row["estimate"]) for row in rows] == [
        effect.estimate.value for effect in known.effects if effect.params
    ]
    assert not any(row["is_solid"] for row in pair_matrix(conditional, metric="loss").rows)


def drawn_on(drawing: Drawing) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    drawing.draw(figure, drawing.rows)
    return figure


def test_an_effect_of_which_nothing_is_known_is_no_zero_in_the_matrix(known: Analysis) -> None:
    effects = tuple(replace(e, estimate=Estimate(0.0, 0.0, 1.0), verdict="unreliable") for e in known.effects)
    (axes, *_) = drawn_on(pair_matrix(replace(known, effects=effects), metric="loss")).axes
    assert {text.get_text() for text in axes.texts} == {"not known"}


def test_the_matrix_says_not_known_where_the_table_does(known: Analysis) -> None:
    """A wide interval has an estimate, which means nothing."""
    wide = replace(known.effects[0], estimate=Estimate(0.6, 0.02, 0.98), verdict="caution")
    drawing = pair_matrix(replace(known, effects=(wide, *known.effects[1:])), metric="loss")
    assert [row["is_known"] for row in drawing.rows].count(False) == 1
    (axes, *_) = drawn_on(drawing).axes
    assert [text.get_text() for text in axes.texts].count("not known") == 1
    assert not any("0.60" in text.get_text() for text in axes.texts)
    i = drawing.rows.index(next(row for row in drawing.rows if not row["is_known"]))
    assert min(axes.patches[i].get_facecolor()[:3]) > 0.95, "a colour stands for a number too"


def test_the_legend_says_how_many_trials_a_dot_stands_for(known: Analysis, grid: Analysis) -> None:
    def words(analysis: Analysis) -> list[str]:
        drawing = coverage(analysis)
        assert drawing is not None
        (legend,) = drawn_on(drawing).legends
        return [text.get_text() for text in legend.get_texts()]

    assert words(grid) == ["space-filling", "1 trial", "2 at one place"]
    assert words(known) == ["space-filling"]


def test_an_outlier_does_not_squeeze_a_front_and_words_lie_where_no_point_can() -> None:
    values = [(0.90 + 0.01 * k, 1.0 + k) for k in range(8)] + [(0.1, 5.0)]
    trials = [create_trial(values=list(pair), params={}, distributions={}) for pair in values]
    for number, trial in enumerate(trials):
        trial.number = number
    front = front_of(trials, (Goal("accuracy", True, 0.001), Goal("seconds", False, 0.0)))
    assert front is not None
    (axes,) = drawn_on(front_drawing(front)).axes
    assert axes.get_ylim()[0] > 0.8
    assert "triangles: beyond the axis" in axes.get_title(loc="left")
    assert [(text.get_ha(), text.get_va()) for text in axes.texts] == [("right", "bottom")] * 8


def test_coverage_tells_who_proposed_the_trials(folder: Path, conditional: Analysis) -> None:
    assert {row["group"] for row in rows_of(folder / "coverage.csv")} == {"space-filling"}
    drawn = coverage(conditional)
    assert drawn is not None
    assert {row["group"] for row in drawn.rows} == {"adaptive"}
    assert [row["params_slope"] is None for row in drawn.rows] == [
        row["params_activation"] != "relu" for row in drawn.rows
    ]
    unknown = replace(conditional.table, sources=(None,) * len(conditional.table.y))
    drawn = coverage(replace(conditional, table=unknown))
    assert drawn is not None
    assert {row["group"] for row in drawn.rows} == {"unknown"}


def test_a_conditional_parameter_is_drawn_over_the_trials_that_had_it(conditional: Analysis) -> None:
    drawn = {drawing.name: drawing.rows for drawing in main_effects(conditional, metric="loss")}
    n = int(np.isfinite(conditional.table.x[:, conditional.table.names.index("slope")]).sum())
    assert len(series(drawn["main_slope"], "trial")) == n < 60
    assert [row["params_activation"] for row in series(drawn["main_activation"], "fit")] == ["relu", "tanh", "a|b"]


def test_a_parameter_whose_own_trials_were_too_few_has_no_figure(conditional: Analysis) -> None:
    whole, inner = conditional.fits
    law = replace(conditional.ridges[0], params=("model.lr", "slope"))
    empty = replace(conditional, fits=(whole, replace(inner, sobol=None)), ridges=(law,))
    names = {drawing.name for drawing in drawings(empty, metric="x")}
    assert names == {
        *("interactions", "main_model.lr", "main_batch_size", "main_activation"),
        *("leave_one_out", "coverage", "tuning"),
    }


def test_figures_of_choices_and_conditions_are_drawn_without_a_warning(conditional: Analysis, tmp_path: Path) -> None:
    names = ("main_activation", "coverage", "interactions")
    made = [drawing for drawing in drawings(conditional, metric="loss") if drawing.name in names]
    assert len(write_finding(tmp_path, made).pictures) == 3


def test_a_followed_parameter_with_many_values_is_parted_into_groups() -> None:
    rng = np.random.default_rng(0)
    space: dict[str, BaseDistribution] = {"first": FloatDistribution(0, 1), "second": FloatDistribution(0, 1)}
    study = optuna.create_study()
    for x, y in rng.uniform(size=(30, 2)).tolist():
        params = {"first": x, "second": y}
        study.add_trial(create_trial(params=params, distributions=space, value=x + 3 * x * y))
    analysis = analyse(trials_table(study), seed=0)
    (drawn,) = metric_by_level(analysis, metric="loss")
    assert drawn.name == "loss_against_first_for_each_second"
    trials = series(drawn.rows, "trial")
    levels = {row["level"] for row in trials}
    assert len(levels) == 5
    for level in levels:
        inside = numbers([row for row in trials if row["level"] == level], "params_second")
        assert len(inside) == 6
        assert np.median(inside) == pytest.approx(level)
    (drawn,) = surfaces(analysis, metric="loss")
    assert not series(drawn.rows, "ridge")


def test_nothing_is_drawn_where_nothing_was_fitted_and_earlier_figures_go(few: Analysis, tmp_path: Path) -> None:
    figures = tmp_path / "figures"
    figures.mkdir()
    for name in ("main_lr.png", "main_lr.csv", "interactions.png", "holiday.png", "main_lr.txt", "surface_a b.png"):
        (figures / name).touch()
    assert write_finding(tmp_path, drawings(few, metric="loss")).pictures == {}
    assert {path.name for path in figures.iterdir()} == {"holiday.png", "main_lr.txt", "surface_a b.png"}
    write_finding(tmp_path / "absent", [])
    assert not (tmp_path / "absent" / "figures").exists()


@pytest.mark.parametrize(
    ("name", "file"),
    [("main_model.lr/x", "main_model_lr_x"), ("main_größe", "main_gr_e"), ("main_a-b_1", "main_a-b_1")],
)
def test_a_parameters_name_becomes_a_safe_file_name(name: str, file: str) -> None:
    assert safe(name) == file
    assert len(safe("x" * 500)) == 80


def test_names_that_differ_in_unsafe_letters_or_case_only_get_files_of_their_own(tmp_path: Path) -> None:
    def draw(figure: Figure, rows: Rows) -> None:
        figure.text(0.5, 0.5, str(rows[0]["x"]))

    made = [Drawing(f"main_{n}", n, 1, 1, ("x",), [{"x": n}], draw) for n in ("a.b", "a/b", "A_B", "a_b_2", "a_b")]
    layout = write_finding(tmp_path, made)
    assert len({path.lower() for path in layout.pictures.values()}) == 5
    for drawing in made:
        assert (tmp_path / f"{layout.stem_of(drawing)}.csv").read_text() == f"x\n{drawing.caption}\n"


CONTINUOUS = Axis("lr", "continuous", "log10", -4.0, -1.0)
LINEAR = Axis("width", "continuous", "linear", 0.5, 1000.5)
POWERS = levelled("batch_size", "discrete", "log2", [4.0, 5.0, 6.0], [16, 32, 64])
CHOICES = levelled("activation", "categorical", "linear", [0.0, 1.0, 2.0], ["relu", None, True])


@pytest.mark.parametrize("axis", [CONTINUOUS, LINEAR, POWERS, CHOICES])
def test_the_cells_of_an_axis_hold_their_middles(axis: Axis) -> None:
    places = scale.places_of(axis, scale.cells_at(axis, scale.middles(axis, 10)))
    edges = scale.edges(axis, 10)
    assert len(edges) == len(places) + 1
    assert np.all((edges[:-1] < places) & (places < edges[1:]))


def test_a_cell_is_in_the_parameters_own_unit() -> None:
    assert scale.cells_of(CONTINUOUS, [-3.0, math.nan]) == [pytest.approx(1e-3), None]
    assert scale.cells_of(POWERS, [5.0]) == [32]
    assert scale.cells_of(CHOICES, [1.0, 2.0]) == ["None", "True"]
    assert scale.places_of(CHOICES, ["None", "relu"]).tolist() == [1.0, 0.0]
    assert scale.cells_of(LINEAR, [900.0]) == [900.0]


def test_no_name_is_a_formula_and_no_style_of_the_users_changes_a_figure(known: Analysis, tmp_path: Path) -> None:
    def draw(figure: Figure, rows: Rows) -> None:
        axes = figure.add_subplot()
        scale.dress(axes, "x", replace(LINEAR, name="$x_{$ 学习率"))
        axes.set_title(title("$y_{$", known.whole, width=3))

    made = Drawing("main_x", "x", 4, 3, ("x",), [], draw)
    path = tmp_path / write_finding(tmp_path, [made]).picture_of(made)
    before = path.read_bytes()
    with matplotlib.rc_context({"axes.facecolor": "red", "text.usetex": True}):
        write_finding(tmp_path, [made])
    assert path.read_bytes() == before
    assert short("a$b$") == r"a\$b\$"
    assert short("x" * 40) == "…" + "x" * 25


def test_a_value_far_out_does_not_squeeze_the_others() -> None:
    values = np.array([*np.linspace(0, 1, 50), 1e6])
    lo, hi = within(values, np.array([1.5]))
    assert -0.2 < lo < 0
    assert 1.5 < hi < 2
    lo, hi = within(np.zeros(5))
    assert lo < 0 < hi


def test_the_strongest_parameters_are_drawn_where_there_are_too_many(known: Analysis) -> None:
    template = known.effects[0]
    effects = tuple(replace(template, params=(f"p{i}",), estimate=Estimate(i / 100)) for i in range(20))
    drawn = pair_matrix(replace(known, effects=effects), metric="loss")
    assert [row["row"] for row in drawn.rows] == [f"p{i}" for i in range(6, 20)]


def test_the_report_module_is_light_and_drawing_leaves_pyplot_alone(tmp_path: Path) -> None:
    script = f"""
import sys, pathlib, studies.cli.reports
assert not {{"matplotlib", "torch"}} & set(sys.modules)
from studies.reporting.finding import Drawing
from studies.reporting.writer import Writer
draw = lambda figure, rows: figure.add_subplot().plot([1, 2])
writer = Writer(pathlib.Path({str(tmp_path)!r}), patterns=["main_*"])
writer.write({{}}, {{"main_x": Drawing("main_x", "x", 2, 2, ("x",), [], draw)}})
assert "matplotlib.pyplot" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
