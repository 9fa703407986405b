"""The next round in the report, and the space that it leaves: valid, and with the reasons for what it changes."""

from __future__ import annotations

import csv
import re
import shlex
import textwrap
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import optuna
import pytest
import yaml
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial
from reports import shown
from rich.console import Console
from shell import USERS, InProcess, Shell

from studies import schema
from studies.analysis.next_round.best_of_m import best_of_m
from studies.analysis.next_round.round import NextRound
from studies.analysis.next_round.space import NextSpace, SpaceChange
from studies.analysis.table import trials_table
from studies.analysis.tuning.tolerance import GIVEN, Tolerance
from studies.cli.reports import report_stored, report_study
from studies.cli.validation import CHECKS
from studies.config.composing.configs import compose
from studies.config.parameter import Parameter
from studies.config.parsing.settings import parse_settings
from studies.config.settings import AnalysisSettings, StudySettings
from studies.config.space import SearchSpace
from studies.reporting.sections.next_round.section import next_round_blocks
from studies.reporting.sections.next_round.space_yaml import space_yaml
from studies.storage.creation import open_study

MakeSettings = Callable[..., StudySettings]
QUIET = Console(file=StringIO())
DIGITS = ("study_name=digits", "n_trials=60", "sampler=random", "search_space.lr.high=1e-2")


def finished(settings: StudySettings) -> optuna.Study:
    """A study whose best lies at a learning rate beyond the limit, and where large batches run out of memory."""
    rng = np.random.default_rng(0)
    study = open_study(settings, optuna.storages.InMemoryStorage())
    for slot in range(settings.n_trials):
        point = settings.space.from_unit(rng.uniform(size=len(settings.space)).tolist())
        lr, batch_size = point["lr"], point["batch_size"]
        assert isinstance(lr, float)
        assert isinstance(batch_size, int)
        lost = batch_size >= 256
        attributes = {schema.SOURCE: "random", schema.SLOT: slot, schema.SEED: slot, schema.REPLICATE: slot % 8}
        study.add_trial(
            create_trial(
                state=TrialState.PRUNED if lost else TrialState.COMPLETE,
                value=None if lost else 0.9 - 0.1 * (np.log10(lr) + 1) ** 2 + 0.01 * float(rng.standard_normal()),
                params=dict(point),
                distributions={name: settings.space[name].distribution() for name in point},
                user_attrs={**attributes, **({schema.FAILURE: "out_of_memory"} if lost else {})},
            )
        )
    return study


def test_the_report_tells_limits_failures_and_whether_trials_were_enough(make_settings: MakeSettings) -> None:
    settings = make_settings(*DIGITS)
    study = finished(settings)
    report_study(study, settings, console=QUIET)
    report = (settings.output_dir / "report.md").read_text()
    section = report.split("## Next round")[1].split("## Files")[0]
    assert "| lr | 0.0001 … 0.01 |" in section
    assert "the best lies at this limit" in section
    assert "**Trials end in out_of_memory** where batch_size ≥ 256" in section
    assert "Were there enough trials? The best of 60 trials is expected at val/accuracy 0." in section
    assert "![best_of_m](figures/best_of_m.png)" in section
    with (settings.output_dir / "figures" / "best_of_m.csv").open() as file:
        assert [int(row["n_trials"]) for row in csv.DictReader(file)] == list(range(1, 61))
    with (settings.output_dir / "next_round.csv").open() as file:
        rows = {row["params"]: row for row in csv.DictReader(file)}
    assert set(rows) == set(settings.space.names)
    assert float(rows["lr"]["at_high"]) > 0.95
    assert (float(rows["lr"]["next_high"]), rows["batch_size"]["next_high"]) == (0.1, "128.0")
    check_next_space(settings)
    none = make_settings(*DIGITS, "analysis=none")
    report_study(study, none, console=QUIET)
    for left in ("next_round.csv", "search_space", "figures/best_of_m.png"):
        assert not (none.output_dir / left).exists()


def test_predicted_values_are_not_told_as_measured() -> None:
    study = optuna.create_study()
    for i in range(8):
        study.add_trial(
            create_trial(value=i / 8, params={"x": i / 8}, distributions={"x": FloatDistribution(0.0, 1.0)})
        )
    whole = best_of_m(trials_table(study), study.trials, seed=0)
    assert whole is not None
    space = SearchSpace(())
    found = NextRound(space, (), (), whole, NextSpace(space, (), ()), Tolerance(0.01, GIVEN))
    optimistic = "as measured, with noise, so the best of many is optimistic."
    for n, told in (
        (0, "Values are"),
        (1, "1 value is predicted from the curves of pruned trials. The others are"),
        (3, "3 values are predicted from the curves of pruned trials. The others are"),
    ):
        own = replace(found, best_of_m=replace(whole, n_predicted=n))
        assert f". {told} {optimistic}" in shown(next_round_blocks(own, study_name="x", metric="loss"))


def test_a_space_that_stays_as_it_is_is_no_command_to_run_it_again() -> None:
    lr = Parameter("lr", ("model.lr",), "float", 1e-4, 1e-2, log=True)
    space = SearchSpace((lr,))
    found = NextRound(space, (), (), None, NextSpace(space, (), ()), Tolerance(0.01, GIVEN))
    section = shown(next_round_blocks(found, study_name="x", metric="loss", command="python -m studies.run it"))
    assert "Limits and choices stay as they are" in section
    assert "studies.run" not in section
    assert "rung" not in section
    early = shown(next_round_blocks(replace(found, compared="rung 3 of 6"), study_name="x", metric="loss"))
    assert "All of it is at rung 3 of 6, not at the end" in early


def check_next_space(settings: StudySettings) -> None:
    """It composes as it is meant, by the command that the report gives."""
    report = (settings.output_dir / "report.md").read_text()
    line = next(line for line in report.splitlines() if "studies.run" in line and "next_search_space" in line)
    words = shlex.split(line)[3:]
    assert words[:2] == ["--config-dir", str(settings.output_dir)]
    assert {"study_name=digits-round2", "import_from=digits"} <= set(words)
    following = parse_settings(compose(words[2:], config_dirs=[words[1]]), checks=CHECKS)
    assert (following.space["lr"].low, following.space["lr"].high) == (settings.space["lr"].low, 0.1)
    assert following.space["batch_size"].high == 128
    for name in ("n_layers", "width", "dropout", "activation"):
        assert following.space[name].paths == settings.space[name].paths
    written = (settings.output_dir / "search_space" / "next_search_space.yaml").read_text()
    assert "high: 0.1  # was 0.01: the best lies at this limit" in written


def test_a_grid_imports_nothing_in_its_next_round(make_settings: MakeSettings) -> None:
    settings = make_settings("sampler=grid", "n_trials=null", study="digits_grid")
    study = open_study(settings, optuna.storages.InMemoryStorage())
    for i, cell in enumerate(settings.space.grid()):
        distributions = {name: settings.space[name].distribution() for name in cell}
        attributes = {schema.SOURCE: "grid", schema.SEED: 1, schema.REPLICATE: 0}
        study.add_trial(create_trial(value=i, params=dict(cell), distributions=distributions, user_attrs=attributes))
    report_study(study, settings, console=QUIET)
    report = (settings.output_dir / "report.md").read_text()
    assert "study_name=digits_grid-round2" in report
    assert "import_from" not in report
    assert "Were there enough trials? Not asked of a grid" in report
    assert not (settings.output_dir / "figures" / "best_of_m.png").exists()


@pytest.mark.parametrize("study", ["mnist_everything", "digits_optimizers", "mnist_cnn", "digits_grid"])
def test_every_space_that_is_written_is_read_again_as_it_was(study: str, tmp_path: Path) -> None:
    settings = parse_settings(compose([f"+study={study}"]), checks=CHECKS)
    reason = SpaceChange("lr", "low", 0.1, 0.2, "a reason: with # and colons")
    (tmp_path / "search_space").mkdir()
    text = space_yaml(NextSpace(settings.space, (reason,), ("a hint",)), study_name=study)
    (tmp_path / "search_space" / "next_search_space.yaml").write_text(text)
    again = compose([f"+study={study}", "search_space=next_search_space"], config_dirs=[str(tmp_path)])
    assert parse_settings(again, checks=CHECKS).space == settings.space


@pytest.mark.slow
def test_without_its_config_a_study_of_ours_has_its_space_and_a_foreign_one_a_table_only(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    wanted = AnalysisSettings("full", None, "auto", None)
    ours = finished(make_settings(*DIGITS))
    report_stored(ours, tmp_path / "ours", wanted, seed=0, console=QUIET)
    written = yaml.safe_load((tmp_path / "ours" / "search_space" / "next_search_space.yaml").read_text())
    assert (written["lr"]["high"], written["lr"]["path"]) == (0.1, "model.optimizer.lr")
    foreign = optuna.create_study(direction="maximize")
    foreign.add_trials(ours.trials)
    report_stored(foreign, tmp_path / "foreign", wanted, seed=0, console=QUIET)
    report = (tmp_path / "foreign" / "report.md").read_text()
    assert "the best lies at this limit" in report
    assert "no search_space file is written" in report
    assert not (tmp_path / "foreign" / "search_space").exists()


@pytest.mark.parametrize("n", [0, 1, 5])
def test_a_study_of_few_trials_has_a_next_round_too(make_settings: MakeSettings, n: int) -> None:
    settings = make_settings("n_trials=12", "sampler=random")
    study = finished(settings)
    few = open_study(settings, optuna.storages.InMemoryStorage())
    few.add_trials(study.trials[:n])
    report_study(few, settings, console=QUIET)
    assert "Too few to tell" in (settings.output_dir / "report.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bowl", "my study (v2)", 'it\'s "2024_01"'])
def test_the_command_in_the_report_runs_the_next_round_and_that_one_the_next(shell: Shell, name: str) -> None:
    """The bottom of the bowl lies at 2, which neither the first space reaches nor the second."""
    bowl = ("--config-dir", str(USERS / "conf"), "+study=bowl", "search_space.x.high=0.5", "analysis=full")
    shell.run("run", *bowl, "n_trials=12", f"study_name={name}")
    for before, after in ((name, f"{name}-round2"), (f"{name}-round2", f"{name}-round3")):
        report = (shell.folder / "outputs" / before / "report.md").read_text()
        *_, last = (line for line in report.splitlines() if line.startswith("python -m"))
        command = shlex.split(last)
        n_before = len([trial for trial in shell.trials(before) if trial.state == TrialState.COMPLETE])
        output = shell.run("run", *command[3:])
        assert f"of {n_before} trials of study {before} were imported" in output
        assert "12 of 12 trials finished, " in output
        assert f"study {after} is finished" in shell.run("run", *command[3:])


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (("--config-dir", "own", "+study=walk"), "own/study/walk.yaml"),
        (("walk.yaml",), "walk.yaml"),
    ],
)
@pytest.mark.slow
def test_where_the_studys_own_file_sets_the_space_the_next_round_is_a_copy_of_it(
    in_process: InProcess, words: tuple[str, ...], place: str
) -> None:
    """An option of the command line cannot replace that space, so no command is given."""
    file = in_process.folder / place
    file.parent.mkdir(parents=True, exist_ok=True)
    study, model, space = (
        (USERS / "conf" / group / "bowl.yaml").read_text() for group in ("study", "model", "search_space")
    )
    study = study.replace("model: bowl", "model: null").replace("search_space: bowl", "search_space: empty")
    blocks = [f"{key}:\n{textwrap.indent(text, '  ')}" for key, text in (("model", model), ("search_space", space))]
    file.write_text("\n".join([study, *blocks]))
    in_process.run(
        "run", *words, "search_space.x.high=0.5", "analysis=full", "n_trials=12", "launcher=serial", "study_name=walk"
    )
    report = (in_process.folder / "outputs" / "walk" / "report.md").read_text()
    assert f"{place} has a search_space of its own. Copy that file" in report
    assert '"override /search_space: empty" into its defaults' in report
    told = re.search(r"and run the copy with (.*)\.$", report, re.MULTILINE)
    assert told is not None
    assert "search_space=next_search_space" not in report
    space = (in_process.folder / "outputs" / "walk" / "search_space" / "next_search_space.yaml").read_text()
    kept, mark, _ = file.read_text().partition("search_space:\n")
    (in_process.folder / "copy.yaml").write_text(kept + mark + textwrap.indent(space, "  "))
    again = in_process.run("run", "copy.yaml", *told[1].split(), "n_trials=12", "launcher=serial")
    assert "of 12 trials of study walk were imported" in again
