"""Rows of a database that somebody has edited, so that Optuna cannot read them: told in one line."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial

from studies.cli.command import command
from studies.config.composing.configs import compose
from studies.list import list_studies
from studies.report import report
from studies.storage.outage import is_of_a_row

EDITS = {
    "half a distribution": "UPDATE trial_params SET distribution_json = '{'",
    "low above high": """UPDATE trial_params SET distribution_json =
        '{"name": "FloatDistribution", "attributes": {"low": 1, "high": 0, "log": true, "step": null}}'""",
    "an unknown state": "UPDATE trials SET state = 'WEIRD'",
    "no time": "UPDATE trials SET datetime_start = 'yesterday'",
    "infinite without a sign": "UPDATE trial_values SET value_type = 'INF_POS'",
    "half an attribute": "UPDATE trial_user_attributes SET value_json = '{'",
}
OF_THE_STUDY = "UPDATE study_user_attributes SET value_json = '[[[' WHERE key = 'config'"
edits = pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two studies, of which the trials of `edited` are to be edited."""
    storage = optuna.storages.get_storage(f"sqlite:///{tmp_path}/s.db")
    study = optuna.create_study(study_name="edited", storage=storage)
    study.set_user_attr("config", "a: 1")
    space = {"x": FloatDistribution(0.1, 1.0)}
    study.add_trial(create_trial(value=0.5, params={"x": 0.5}, distributions=space, user_attrs={"mine": 1}))
    optuna.create_study(study_name="sound", storage=storage)
    return tmp_path / "s.db"


def execute(file: Path, edit: str) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(edit)


@edits
def test_a_study_that_cannot_be_read_is_listed_as_damaged_beside_the_others(
    file: Path, capsys: pytest.CaptureFixture[str], edit: str
) -> None:
    execute(file, edit)
    assert list_studies(compose([f"storage.url=sqlite:///{file}"])) == 0
    shown = capsys.readouterr().out
    assert "damaged: " in shown
    assert "sound" in shown


@pytest.mark.usefixtures("as_command")
@pytest.mark.parametrize("edit", [*EDITS.values(), OF_THE_STUDY], ids=[*EDITS, "half an attribute of the study"])
def test_a_command_that_needs_it_ends_in_one_line(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], edit: str
) -> None:
    execute(file, edit)
    monkeypatch.setattr("sys.argv", ["report", "study_name=edited", f"storage.url=sqlite:///{file}", "output_dir=out"])
    monkeypatch.chdir(file.parent)
    with pytest.raises(SystemExit) as ended:
        command(report)()
    assert ended.value.code == 1
    assert "error: the storage failed: " in capsys.readouterr().err


def test_an_error_from_elsewhere_is_none_of_the_storage() -> None:
    with pytest.raises(ValueError, match="invalid literal") as caught:
        int("x")
    assert not is_of_a_row(caught.value)
