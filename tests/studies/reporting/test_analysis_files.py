from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
from reports import write_finding

from studies.analysis.analyse import Analysis
from studies.reporting.csv_table import csv_text
from studies.reporting.sections.effects import analysis_json
from studies.reporting.sections.effects.analysis_csv import package_version
from studies.reporting.sections.effects.section import effects_finding

pytestmark = pytest.mark.usefixtures("pictures")

EFFECT_COLUMNS = [
    *("params", "order", "kind", "estimate", "ci_lo", "ci_hi", "verdict", "reasons", "claimed", "n_used", "n_pruned"),
    *("n_failed", "random_share", "q2", "second", "scope", "method", "version", "seed"),
]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def header_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()[0].split(",")


def write_analysis(folder: Path, analysis: Analysis, *, metric: str) -> dict[str, Path]:
    """Write all files of the section. Return label → path."""
    return dict(write_finding(folder, effects_finding(analysis, metric=metric)).files)


@pytest.fixture(scope="module")
def labels(known: Analysis, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_analysis(tmp_path_factory.mktemp("known"), known, metric="val/loss")


@pytest.fixture(scope="module")
def written(labels: dict[str, Path]) -> Path:
    return labels["effects"].parent


@pytest.fixture(scope="module")
def document(written: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    read = json.loads((written / "analysis.json").read_text(encoding="utf-8"), parse_constant=refuse)
    assert isinstance(read, dict)
    return read


def test_effects_have_the_columns_that_are_documented_and_the_numbers_that_were_computed(
    written: Path, known: Analysis
) -> None:
    assert header_of(written / "effects.csv") == EFFECT_COLUMNS
    rows = rows_of(written / "effects.csv")
    assert [row["params"] for row in rows] == [effect.name for effect in known.effects]
    assert [row["params"] for row in rows] == [
        *("model.lr", "batch_size", "model.lr*batch_size"),
        *("(noise)", "(unexplained)"),
    ]
    for row, effect in zip(rows, known.effects, strict=True):
        assert float(row["estimate"]) == effect.estimate.value
        assert (row["order"], row["kind"], row["verdict"]) == (str(effect.order), effect.kind, "ok")
        assert (row["n_used"], row["random_share"], row["seed"]) == ("60", "1.0", "1")
        assert row["version"] == package_version()
    assert [row["claimed"] for row in rows] == ["False", "False", "True", "False", "False"]


def test_the_file_on_tuning_has_the_losses_of_the_analysis_and_the_json_the_same(
    written: Path, known: Analysis, document: dict[str, Any]
) -> None:
    rows = rows_of(written / "tuning.csv")
    assert [row["params"] for row in rows] == [row.name for row in known.tunability]
    for row, record, found in zip(rows, document["tunability"], known.tunability, strict=True):
        ends = (found.loss.value, found.loss.lo, found.loss.hi)
        assert tuple(float(row[name]) for name in ("loss", "ci_lo", "ci_hi")) == ends
        assert (record["loss"], record["ci_lo"], record["ci_hi"]) == ends
        assert row["need"] == record["need"] == found.need
        assert row["near"] == "; ".join(map(str, found.near))
        assert record["near"] == list(found.near)
        assert (row["default"], record["default"]) == ("", None)


def test_interactions_are_the_effects_of_order_two(written: Path) -> None:
    effects = rows_of(written / "effects.csv")
    assert rows_of(written / "interactions.csv") == [row for row in effects if row["order"] == "2"]


def test_reasons_and_scopes_are_joined(conditional: Analysis, tmp_path: Path) -> None:
    write_analysis(tmp_path, conditional, metric="loss")
    rows = {row["params"]: row for row in rows_of(tmp_path / "effects.csv")}
    pair = rows["model.lr*slope"]
    assert pair["scope"] == "slope"
    assert pair["verdict"] != "ok"
    assert "0% space-filling trials" in pair["reasons"].split("; ")
    assert len(pair["reasons"].split("; ")) > 1
    assert rows["model.lr"]["scope"] == ""


def test_a_ridge_has_the_columns_that_are_documented(written: Path, known: Analysis) -> None:
    assert header_of(written / "ridge.csv")[:8] == [
        *("params", "alpha", "ci_lo", "ci_hi", "window_decades", "curvature_p", "verdict", "budget_unit"),
    ]
    (row,) = rows_of(written / "ridge.csv")
    assert (row["params"], row["budget_unit"]) == ("model.lr*batch_size", "epochs")
    assert float(row["alpha"]) == known.ridges[0].alpha.value == pytest.approx(0.5, abs=0.1)
    assert (row["compatible"], row["excluded"]) == ("square root", "constant; linear")


def test_anova_has_a_row_for_each_term_for_the_block_and_for_the_error(grid: Analysis, tmp_path: Path) -> None:
    write_analysis(tmp_path, grid, metric="loss")
    rows = rows_of(tmp_path / "anova.csv")
    assert [row["params"] for row in rows] == ["model.lr", "batch_size", "model.lr*batch_size", "(block)", "(error)"]
    assert [row["df"] for row in rows] == ["3", "2", "6", "1", "11"]
    total = sum((y - grid.table.y.mean()) ** 2 for y in grid.table.y)
    assert sum(float(row["sum_sq"]) for row in rows) == pytest.approx(total)
    assert rows[-1]["f"] == ""


def test_an_anova_of_an_earlier_report_does_not_stay(known: Analysis, tmp_path: Path) -> None:
    (tmp_path / "anova.csv").write_text("old")
    assert "anova" not in write_analysis(tmp_path, known, metric="loss")
    assert not (tmp_path / "anova.csv").exists()


def test_screens_say_what_each_measure_says_of_each_parameter(written: Path, known: Analysis) -> None:
    assert header_of(written / "screen.csv") == ["method", "params", "raw", "normalised", "null", "above_null"]
    rows = rows_of(written / "screen.csv")
    assert [(row["method"], row["params"]) for row in rows] == [(row.method, row.name) for row in known.screen]
    assert len(rows) == 4


def test_a_number_that_does_not_exist_is_an_empty_cell_and_an_empty_table_its_header(
    few: Analysis, tmp_path: Path
) -> None:
    written = write_analysis(tmp_path, few, metric="loss")
    assert all(row["estimate"] == row["ci_lo"] == row["q2"] == "" for row in rows_of(written["effects"]))
    assert rows_of(written["screens"]) == []
    assert header_of(written["screens"])[0] == "method"


def test_a_float_in_a_csv_reads_as_the_same_float() -> None:
    values = [0.1 + 0.2, 1e-300, -0.0, math.inf, 12.0]
    text = csv_text(["x"], [{"x": value} for value in values])
    assert [float(row["x"]) for row in csv.DictReader(text.splitlines())] == values
    assert text.splitlines()[1] == "0.30000000000000004"
    assert csv_text(["x", "y", "z"], [{"x": math.nan, "y": None, "z": True}]) == "x,y,z\n,,True\n"


def test_the_json_holds_everything_under_its_documented_keys(document: dict[str, Any], known: Analysis) -> None:
    assert document["version"] == 1
    documented = analysis_json.__doc__ or ""
    for key in document:
        assert f"`{key}`" in documented, key
    assert document["verdict"] == {"level": "ok", "reasons": []}
    assert (document["metric"], document["direction"], document["budget_unit"]) == ("val/loss", "minimize", "epochs")
    assert document["trials"] == {"finished": 60, "used": 60, "pruned": 0, "failed": 0, "diverged": 0}
    assert [effect["params"] for effect in document["effects"]] == [list(effect.params) for effect in known.effects]
    assert document["effects"][0]["estimate"] == known.effects[0].estimate.value
    assert document["ridges"][0]["points"][0] == list(known.ridges[0].points[0])
    assert document["ridges"][0]["alphas_by_window"] == [
        [window, alpha.value, alpha.lo, alpha.hi] for window, alpha in known.ridges[0].alphas_by_window
    ]
    assert known.tuning is not None
    assert document["tuning"]["cost"]["estimate"] == known.tuning.cost.value
    assert document["parameters"][1]["values"] == [16, 32, 64, 128, 256, 512]
    assert document["anova"] is None


def test_what_is_infinite_or_does_not_exist_is_null_in_the_json(few: Analysis, tmp_path: Path) -> None:
    assert math.isinf(few.ridges[0].alpha.hi)
    path = write_analysis(tmp_path, few, metric="loss")["analysis"]
    document = json.loads(path.read_text())
    assert document["ridges"][0]["ci_hi"] is None
    assert document["effects"][0]["estimate"] is None
    assert document["evidence"]["q2"] is None
    assert document["tuning"] is None
    assert document["verdict"]["level"] == "unreliable"


def test_the_json_of_a_grid_has_its_anova(grid: Analysis) -> None:
    document = json.loads(analysis_json.analysis_json(grid, metric="loss"))
    assert [row["term"] for row in document["anova"]["rows"]] == [
        *(["model.lr"], ["batch_size"], ["model.lr", "batch_size"], []),
    ]
    assert document["anova"]["replicates"] == [2, 2]


@pytest.mark.slow
def test_the_same_analysis_gives_the_same_bytes(known: Analysis, written: Path, tmp_path: Path) -> None:
    write_analysis(tmp_path, known, metric="val/loss")
    first = {path.relative_to(written): path.read_bytes() for path in written.rglob("*.*")}
    second = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.*")}
    assert first == second
    assert Path("figures/interactions.png") in first


def test_a_report_lists_tables_by_name_and_the_folder_of_figures(
    labels: dict[str, Path], written: Path, few: Analysis, tmp_path: Path
) -> None:
    assert set(labels) == {"tuning", "effects", "interactions", "ridges", "screens", "analysis", "figures"}
    assert len(list((written / "figures").glob("*.png"))) == 8
    assert "figures" not in write_analysis(tmp_path, few, metric="loss")
