"""`select.csv`: a row for each candidate of a race, with its end and the winner's estimate."""

from __future__ import annotations

from collections.abc import Sequence

from studies.reporting.csv_table import Cell, csv_text, estimate_cells, fields_of
from studies.reporting.sections.selection.words import status
from studies.selection.race import Race
from studies.selection.steps import Selection

COLUMNS = ("trial", "searched", "n_seeds", "mean", "sd", "gap", "p_value", "status", "selected", "cost")
WORTH = ("estimate", "ci_lo", "ci_hi", "n_fresh")
TEST = ("test_metric", "test", "test_ci_lo", "test_ci_hi", "n_test_samples")


def selection_csv(selection: Selection, *, names: Sequence[str]) -> str:
    """Return the table. Each parameter of `names` has a column `params_NAME`.

    `cost` is the mean of the column in `select.cost`. Only a winner has an estimate, with the first of its tests.
    """
    rows = [row for race in selection.races for row in _rows(race, selection)]
    return csv_text((*COLUMNS, *WORTH, *TEST, *(f"params_{name}" for name in names)), rows)


def _rows(race: Race, selection: Selection) -> list[dict[str, Cell]]:
    return [
        {
            "trial": candidate.trial.number,
            "searched": candidate.value,
            **_standing(race, i),
            "selected": i == race.winner and race is selection.best,
            "cost": race.cost(i),
            **(_worth(race) if i == race.winner else {}),
            **{f"params_{name}": str(v) if v is None else v for name, v in candidate.trial.params.items()},
        }
        for i, candidate in enumerate(race.candidates)
    ]


def _standing(race: Race, i: int) -> dict[str, Cell]:
    if race.elimination is None:
        return {"n_seeds": 0, "status": "no race"}
    found = race.elimination.standings[i]
    return {**fields_of(found), "n_seeds": found.n, "status": status(race, i)}


def _worth(race: Race) -> dict[str, Cell]:
    found = race.estimate
    if found is None:
        return {"n_fresh": 0}
    worth: dict[str, Cell] = {**estimate_cells("estimate", found), "n_fresh": found.n}
    for name, test in sorted(race.tests.items(), key=lambda entry: entry[1].n_samples is None):
        tested = estimate_cells("test", test.estimate, ends="test_ci")
        return {**worth, "test_metric": name, **tested, "n_test_samples": test.n_samples}
    return worth
