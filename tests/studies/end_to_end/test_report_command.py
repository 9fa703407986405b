"""`studies.report`, as a person types it, on a study of ours and on one that plain Optuna made."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import optuna
import pytest
from conftest import MakeSettings
from optuna.storages import RDBStorage
from optuna.trial import create_trial
from shell import PLAIN, InProcess, Shell

from studies import schema
from studies.storage.creation import open_study
from studies.storage.opening import open_storage

EFFECT_COLUMNS = ["params", "order", "estimate", "ci_lo", "ci_hi", "verdict", "reasons"]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def plain_study(in_process: InProcess) -> InProcess:
    """60 random trials of a valley whose floor moves by half a decade of lr for each decade of batch size."""

    def objective(trial: optuna.Trial) -> float:
        lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
        batch_size = trial.suggest_categorical("batch_size", [16, 32, 64, 128, 256])
        return -((math.log10(lr) + 3 - 0.5 * (math.log10(batch_size) - 1.8)) ** 2)

    storage = RDBStorage(f"sqlite:///{in_process.folder}/mine.db")
    study = optuna.create_study(
        study_name="mine", storage=storage, direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0)
    )
    study.optimize(objective, n_trials=60)
    storage.engine.dispose()
    return in_process


@pytest.mark.slow
def test_a_study_of_plain_optuna_is_analysed_without_any_config(plain_study: InProcess) -> None:
    where = ("study_name=mine", "storage.url=sqlite:///mine.db", "output_dir=out")
    output = plain_study.run("report", *where)
    folder = plain_study.folder / "out"
    assert "interact" not in output.splitlines()[-6]
    found = rows(folder / "effects.csv")
    assert [column for column in EFFECT_COLUMNS if column not in found[0]] == []
    assert {row["verdict"] for row in found} == {"caution"}
    assert "who proposed the points is not recorded" in found[0]["reasons"]
    told = plain_study.run("report", *where, "analysis.source=random")
    assert "lr × batch_size interact" in told
    (pair,) = rows(folder / "interactions.csv")
    assert (pair["params"], pair["verdict"], pair["claimed"]) == ("lr*batch_size", "ok", "True")
    (law,) = rows(folder / "ridge.csv")
    assert float(law["alpha"]) == pytest.approx(0.5, abs=0.02)
    assert json.loads((folder / "analysis.json").read_text())["version"] == 1
    for figure in (folder / "figures").glob("*.png"):
        assert figure.with_suffix(".csv").exists()
    assert not (folder / "best.yaml").exists()


@pytest.mark.slow
def test_our_own_study_is_reported_again_as_it_was_run(shell: Shell) -> None:
    small = ("+study=digits_grid", "budget.amount=1", "replicates=2", "workers=2")
    shell.run("run", *small)
    folder = shell.folder / "outputs" / "digits_grid"
    before = {
        path.name: path.read_bytes() for path in folder.rglob("*.*") if path.is_file() and "logs" not in path.parts
    }
    for name in (
        "effects.csv",
        "interactions.csv",
        "ridge.csv",
        "anova.csv",
        "analysis.json",
        "best.yaml",
        "report.md",
    ):
        assert name in before
        (folder / name).unlink()
    shell.run("report", *small)
    after = {
        path.name: path.read_bytes() for path in folder.rglob("*.*") if path.is_file() and "logs" not in path.parts
    }
    assert after == before


@pytest.mark.slow
def test_what_cannot_be_reported_is_one_clear_message(plain_study: InProcess) -> None:
    where = ("storage.url=sqlite:///mine.db", "output_dir=out")
    unknown = plain_study.run("report", "study_name=mien", *where, code=2)
    assert "study_name is mien, which the storage does not hold: did you mean mine?" in unknown
    law = plain_study.run("report", "study_name=mine", "analysis.law=[[lr,batchsize]]", *where, code=2)
    assert "analysis.law.batchsize is no parameter of the study: did you mean batch_size?" in law
    source = plain_study.run("report", "study_name=mine", "analysis.source=rnd", *where, code=2)
    assert "analysis.source is 'rnd': did you mean random?" in source
    missing = plain_study.run("report", "study_name=mine", "storage.url=sqlite:///nowhere.db", code=2)
    assert "a file that does not exist" in missing


@pytest.fixture
def selected_study(in_process: InProcess, make_settings: MakeSettings) -> InProcess:
    """The study `plain` with one trial, which a round of a selection followed, and the report that it left."""
    settings = make_settings(study="plain")
    (in_process.folder / "outputs" / "plain").mkdir(parents=True)
    (in_process.folder / "outputs" / "plain" / "report.md").write_text("what was selected")
    storage = open_storage(f"sqlite:///{in_process.folder}/outputs/studies.db")
    open_study(settings, storage).add_trial(create_trial(value=0.5))
    selection = optuna.create_study(study_name="plain.select-1-abcdef", storage=storage)
    selection.set_user_attr(schema.STUDY_FINGERPRINT, "0" * 16)
    selection.set_user_attr(schema.STUDY_SCHEMA, schema.VERSION)
    selection.set_user_attr(schema.STUDY_SELECT, {"of": "plain", "stage": "race", "round": 1, "trials": [0]})
    return in_process


def test_a_report_with_another_config_than_the_studys_own_writes_nothing(selected_study: InProcess) -> None:
    told = selected_study.run("report", *PLAIN, "budget.amount=77", "objective.value=best", code=2)
    assert "budget.amount is 77 but " in told
    assert "objective.value is 'best' but 'last' in the stored study: give the overrides that the study was run" in told
    folder = selected_study.folder / "outputs" / "plain"
    assert [path.name for path in folder.iterdir()] == ["report.md"]
    assert (folder / "report.md").read_text() == "what was selected"


def test_a_report_from_the_storage_alone_tells_of_the_selection_that_followed(selected_study: InProcess) -> None:
    (selected_study.folder / "out").mkdir()
    (selected_study.folder / "out" / "hypothesis.md").write_text("what the config's claim came to")
    told = selected_study.run("report", "study_name=plain", "output_dir=out", "analysis=none")
    assert "no config of this study was given (+study=…): the report is made from the storage alone" in told
    assert "of the search alone 0.5000 (trial 0); 1 trial finished; a selection among its best followed" in told
    assert "plain.select-1-abcdef" in (selected_study.folder / "out" / "report.md").read_text(encoding="utf-8")
    assert (selected_study.folder / "out" / "hypothesis.md").exists()
