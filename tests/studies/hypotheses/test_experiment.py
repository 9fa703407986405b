"""Reference experiments: a hypothesis's parts, its conclusion from real trainings, and the page made of them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from composing import composed
from hydra.core.hydra_config import HydraConfig
from matplotlib.figure import Figure
from omegaconf import DictConfig, OmegaConf
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, create_trial
from reference import MARKS, Experiment, build, experiment_of, machine, names, write_into_readme
from reports import view_of_trials
from rich.console import Console
from scipy.stats import t
from shell import InProcess, Shell

from studies import schema
from studies.analysis.estimate import Estimate
from studies.analysis.levels import MOST_MORE_SEEDS
from studies.cli.experiment import each_part
from studies.cli.session import RunOutcome, Session
from studies.cli.validation import CHECKS
from studies.config.composing.configs import compose, group_options
from studies.config.parsing.settings import parse_settings
from studies.config.settings import StudySettings
from studies.errors import BadInput
from studies.hypotheses.conclusion import Conclusion, PartTrials, conclude
from studies.hypotheses.figures import verdict_drawing
from studies.hypotheses.page import remove_hypothesis, write_hypothesis
from studies.hypotheses.rule import HypothesisTest
from studies.process.deadline import Deadline
from studies.retrain import retrain
from studies.run import run
from studies.search.designs import grid_design
from studies.search.seeds import replicate_of
from studies.storage.creation import open_study
from studies.storage.identity import rule_of
from studies.storage.opening import open_storage

HYPOTHESES = [name for name in group_options("study") if name.startswith("hypotheses/")]


def parts(*overrides: str) -> dict[str, DictConfig]:
    return {part.name: part.config for part in each_part(composed(*overrides), are_trained=False)}


def test_a_study_without_parts_is_its_own_only_part() -> None:
    config = compose(["+study=digits"])
    (part,) = each_part(config)
    assert (part.name, part.config) == ("", config)


def test_parts_are_studies_of_their_own() -> None:
    found = parts("+study=hypotheses/larger_batches_are_better")
    assert [config.budget.unit for config in found.values()] == ["epochs", "steps"]
    assert {config.study_name for config in found.values()} == {
        "larger_batches_are_better_equal_epochs",
        "larger_batches_are_better_equal_steps",
    }
    assert len({str(config.output_dir) for config in found.values()}) == 2


@pytest.mark.parametrize("hypothesis", HYPOTHESES)
def test_the_rule_of_every_hypothesis_stands_in_its_config(hypothesis: str) -> None:
    found = [parse_settings(config, checks=CHECKS).hypothesis for config in parts(f"+study={hypothesis}").values()]
    deciding = [b for b in found if b is not None and b.rule != "none" and b.decides]
    assert deciding
    assert all(b.boundary != 0 for b in deciding)


def test_a_part_that_changes_what_there_is_not_is_refused() -> None:
    with pytest.raises(BadInput, match=r"hypothesis\.parts\.x"):
        parts("+study=hypotheses/larger_batches_are_better", "+hypothesis.parts.x={bugdet: {amount: 3}}")
    with pytest.raises(BadInput, match=r"hypothesis\.parts"):
        parts("+study=hypotheses/larger_batches_are_better", "+hypothesis.parts.x=3")


def test_a_key_of_the_command_line_that_a_part_sets_too_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["+study=hypotheses/larger_batches_are_better", "budget.amount=3", "seed=1"]
    config = compose(given)
    ran = OmegaConf.create({"hydra": {"overrides": {"task": given}}})
    monkeypatch.setattr(HydraConfig.instance(), "cfg", ran)
    with pytest.raises(BadInput) as refused:
        list(each_part(config, are_trained=False))
    assert [(problem.key, problem.remedy) for problem in refused.value.problems] == [
        ("budget.amount", f"give hypothesis.parts.{part}.budget.amount instead")
        for part in ("equal_epochs", "equal_steps")
    ]


def test_a_rule_that_makes_no_sense_is_told() -> None:
    for override, key in (
        ("hypothesis.rule=contarst", r"hypothesis\.rule"),
        ("hypothesis.of=lr", r"hypothesis\.of"),
        ("hypothesis.to=null", r"hypothesis\.to"),
        ("hypothesis.to=7", r"hypothesis\.to is 7: give one of 1, 2, 4, 6"),
        ("hypothesis.boundary=wide", r"hypothesis\.boundary"),
        ("+hypothesis.bondary=1", r"hypothesis\.bondary"),
    ):
        with pytest.raises(BadInput, match=key):
            parse_settings(compose(["+study=hypotheses/more_layers_are_better", override]), checks=CHECKS)


def problems_of(*overrides: str) -> list[str]:
    with pytest.raises(BadInput) as caught:
        parse_settings(compose(overrides), checks=CHECKS)
    return [str(problem) for problem in caught.value.problems]


def test_a_value_that_is_compared_with_itself_is_told() -> None:
    found = problems_of("+study=hypotheses/more_layers_are_better", "hypothesis.to=1")
    assert found == ["hypothesis.to is 1, as hypothesis.from is: give another value"]


@pytest.mark.parametrize(
    ("hypothesis", "replicates", "fewest"),
    [("more_layers_are_better", 3, 4), ("random_search_suffices", 1, 4), ("hyperparameters_are_independent", 1, 2)],
)
def test_a_hypothesis_that_no_result_could_decide_is_refused(hypothesis: str, replicates: int, fewest: int) -> None:
    study = f"+study=hypotheses/{hypothesis}"
    (told,) = problems_of(study, f"replicates={replicates}")
    assert told.startswith(f"replicates is {replicates}, and hypothesis.rule=")
    assert f"fewer than {fewest} seeds: give {fewest} or more, or hypothesis=null" in told
    assert parse_settings(compose([study, f"replicates={fewest}"]), checks=CHECKS).hypothesis
    (told,) = problems_of(study, "sampler=tpe", "n_trials=40", "replicates=1")
    assert "but sampler is tpe: set sampler=grid, or hypothesis=null" in told


def test_one_setting_fits_all_needs_seeds_and_a_grid_too() -> None:
    settings = parts("+study=hypotheses/one_setting_fits_all")["settings"]
    settings.replicates = 3
    with pytest.raises(BadInput, match=r"replicates is 3, and hypothesis\.rule=one_fits_all .* 4 or more"):
        parse_settings(settings, checks=CHECKS)


GRID = ("+study=digits", "sampler=grid", "n_trials=null", "search_space=lr_batch_size", "replicates=4")


def test_a_hypothesis_about_pruned_trainings_is_refused() -> None:
    (told,) = problems_of("+study=hypotheses/more_layers_are_better", "pruner=median")
    assert told == (
        "pruner is median, and hypothesis.rule=contrast compares whole trainings, which pruning cuts short: "
        "set pruner=none"
    )
    (told,) = problems_of("+study=hypotheses/hyperparameters_are_independent", "pruner=asha")  # nothing is scientific
    assert told.startswith("pruner is asha, and hypothesis.rule=independence")


def test_a_table_of_pruned_trainings_is_refused() -> None:
    (told,) = problems_of(*GRID)
    assert told.startswith("pruner is median, and search_space.batch_size.role=scientific compares whole trainings")


@pytest.mark.parametrize(
    "overrides",
    [
        (*GRID, "pruner=none"),
        (*GRID, "search_space.batch_size.role=nuisance"),
        (
            *GRID,
            "search_space.batch_size.role=nuisance",
            "hypothesis={claim: x, rule: none}",
        ),  # it prepares another part
        ("+study=digits", "search_space=lr_batch_size"),  # a search
    ],
)
def test_what_compares_no_whole_trainings_may_be_pruned(overrides: Sequence[str]) -> None:
    parse_settings(compose(overrides), checks=CHECKS)


def test_a_hypothesis_that_says_too_little_has_one_problem_a_key() -> None:
    (missing,) = problems_of(*GRID, "pruner=none", "hypothesis={claim: x}")
    assert missing.startswith(
        "hypothesis.rule is missing: give the rule that decides: contrast (one value of a parameter"
    )
    assert all(rule in missing for rule in ("independence (", "one_fits_all (", "none ("))
    keys = [told.split()[0] for told in problems_of(*GRID, "hypothesis={claim: x, rule: contrast}", "pruner=none")]
    assert sorted(keys) == ["hypothesis.boundary", "hypothesis.from", "hypothesis.of", "hypothesis.to"]


def test_a_later_part_starts_from_the_model_of_an_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a hypothesis that was run here has a model already
    config = compose(["+study=hypotheses/one_setting_fits_all"])
    last = list(each_part(config, are_trained=False))[-1].config
    assert OmegaConf.select(last, "search_space.start.choices.taken_over") is None
    OmegaConf.update(last, "hypothesis.checkpoints.source", "model.ckpt", force_add=True)
    assert OmegaConf.select(last, "search_space.start.choices.taken_over") == "model.ckpt"


def test_no_part_is_retrained_before_it_is_named() -> None:
    with pytest.raises(BadInput, match=r"config=outputs/hypotheses/larger_batches_are_better/equal_steps/best\.yaml"):
        retrain(compose(["+study=hypotheses/larger_batches_are_better"]))


@pytest.mark.slow
def test_the_time_limit_holds_for_all_parts_together(in_process: InProcess) -> None:
    small = (
        *("+study=hypotheses/larger_batches_are_better", "datamodule=digits", "replicates=4", "launcher=serial"),
        *("hypothesis.parts.equal_epochs.budget.amount=1", "search_space.lr.levels=[1e-3]", "timeout_s=0.001"),
        "search_space.batch_size.levels=[32,512]",
    )
    output = in_process.run("run", *small)
    assert "the time is up" in output
    assert "part equal_epochs is not finished, so the others wait" in output
    begun = datetime.now(UTC) - timedelta(hours=1)
    assert Deadline.of(begun, 60).is_over
    assert not Deadline.of(begun, 7200).is_over
    assert not Deadline.of(begun, None).is_over


def test_each_part_is_searched_in_what_is_left_of_the_commands_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadlines: list[Deadline] = []

    def search(session: Session, **_: Any) -> Any:
        settings = session.settings
        study = open_study(settings, session.storage)
        for trial in every_slot(settings, lambda point, seed: 0.9 + 1e-3 * seed):
            trial.user_attrs[schema.SEED] = 1
            study.add_trial(trial)
        deadlines.append(session.clock.start(settings.timeout_s))
        return study, RunOutcome.FINISHED

    monkeypatch.setattr("studies.cli.commands.run.search", search)
    small = ("replicates=4", "search_space.lr.levels=[1e-3]", "search_space.batch_size.levels=[32,512]")
    places = (f"output_dir={tmp_path}/out", f"storage.url=sqlite:///{tmp_path}/s.db", "timeout_s=7200")
    assert run(compose(["+study=hypotheses/larger_batches_are_better", *small, *places])) == 0
    first, second = deadlines
    assert second == first == Deadline.of(first.begun, 7200)


@pytest.mark.slow
def test_a_hypothesis_of_two_parts_is_run_concluded_and_concluded_again(shell: Shell) -> None:
    small = (
        *("+study=hypotheses/larger_batches_are_better", "datamodule=digits", "replicates=4"),
        *("hypothesis.parts.equal_epochs.budget.amount=2", "hypothesis.parts.equal_steps.budget.amount=20"),
        *("search_space.lr.levels=[1e-3,1e-2]", "search_space.batch_size.levels=[32,512]"),
    )
    output = shell.run("run", *small)
    assert "part equal_epochs:" in output
    assert "Larger batches are better: " in output
    folder = shell.folder / "outputs" / "hypotheses" / "larger_batches_are_better"
    rows = {row["part"]: row for row in csv.DictReader(io.StringIO((folder / "hypothesis.csv").read_text()))}
    assert float(rows["equal_epochs"]["gain"]) < 0 < float(rows["equal_steps"]["gain"])
    page = (folder / "hypothesis.md").read_text()
    assert page.split("\n\n")[1].startswith(("**Contradicted** on this task.", "**Undecided** on this task."))
    assert "equal_epochs: contradicted: gain in" in page
    before = (folder / "hypothesis.csv").read_bytes()
    (folder / "hypothesis.csv").unlink()
    assert "Larger batches are better: contradicted" in shell.run("report", *small)
    assert (folder / "hypothesis.csv").read_bytes() == before
    refused = shell.run("run", *small, "budget.amount=3", code=2)
    assert "hypothesis.parts.equal_epochs.budget.amount" in refused


def experiment(folder: Path, name: str, page: str, text: str) -> Experiment:
    own = folder / name
    (own / "figures").mkdir(parents=True)
    (own / f"{page}.md").write_text(f"# Title\n\n{text}\n\n## Inner\n\n![x](figures/values.png)\n\nlast")
    (own / "figures" / "values.png").write_bytes(b"png")
    (own / "figures" / "values.csv").write_text("a\n1\n")
    return Experiment(name, own, 12.3, "2026-11-24", "2 cores")


def test_the_page_holds_what_the_runs_wrote(tmp_path: Path) -> None:
    found = [
        experiment(tmp_path, "tables/dropout", "table", "dropout = 0.2 gives 0.95"),
        experiment(tmp_path, "tables/number_of_layers", "table", "n_layers = 1 gives 0.94"),
        experiment(tmp_path, "hypotheses/more", "hypothesis", "**Contradicted** | here"),
    ]
    page = tmp_path / "page"
    text = build(found, page).read_text()
    assert "### dropout" in text
    assert "took 12 s" in text
    assert "#### # Inner" not in text
    assert "##### Inner" in text
    assert "![dropout](tables-dropout-values.png)" in text
    assert (page / "tables-dropout-values.csv").read_text() == "a\n1\n"
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n\n{MARKS[0]}\nold\n{MARKS[1]}\n\nafter\n")
    write_into_readme(found, readme)
    text = readme.read_text()
    assert "| [dropout](docs/reference/README.md#dropout) | dropout = 0.2 gives 0.95 |" in text
    assert "**Contradicted** ∣ here" in text
    assert "![number of layers](docs/reference/tables-number_of_layers-values.png)" in text
    assert "![dropout]" not in text
    assert "old" not in text
    assert text.startswith("before")
    assert text.endswith("after\n")
    write_into_readme(found, readme)
    assert readme.read_text() == text


@pytest.mark.parametrize(("n_open", "more"), [(1, ""), (2, " `size=full` decides more of them.")])
def test_the_page_says_how_many_values_of_a_table_are_decided(n_open: int, more: str, tmp_path: Path) -> None:
    found = experiment(tmp_path, "tables/dropout", "table", "dropout = 0.2 gives 0.95")
    words = ["best", "none", *["worse"] * 2, *["equivalent"] * (3 - n_open), *["not_shown"] * n_open]
    (found.folder / "table.csv").write_text("standing\n" + "\n".join(words) + "\n")
    text = build([found], tmp_path / "page").read_text()
    assert f"took 12 s. {5 - n_open} of 5 comparisons with the best value are decided.{more}\n" in text


def test_a_readme_without_marks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing")
    with pytest.raises(ValueError, match="lacks the marks"):
        write_into_readme([], tmp_path / "README.md")


def test_all_tables_hypotheses_and_the_race_are_on_the_page() -> None:
    assert names() == [
        *sorted(name for name in group_options("study") if name.startswith("tables/")),
        *sorted(HYPOTHESES),
        "sampler_benchmark",
    ]
    assert len(names()) == 11 + 5 + 1


def add_trials(settings: StudySettings, storage: BaseStorage, n: int, *, begun: datetime, ended: datetime) -> None:
    """Trials of a study, the first from `begun` on, the last until `ended`."""
    study = open_study(settings, storage)
    for trial in every_slot(settings, lambda point, replicate: 0.9)[:n]:
        trial.datetime_start, trial.datetime_complete = begun, ended
        study.add_trial(trial)


def test_an_experiment_takes_as_long_as_its_parts_together_and_has_to_be_finished(tmp_path: Path) -> None:
    name = "hypotheses/larger_batches_are_better"
    overrides = (
        *(f"storage.url=sqlite:///{tmp_path}/s.db", f"output_dir={tmp_path}/out", "replicates=4"),
        *("search_space.lr.levels=[1e-3]", "search_space.batch_size.levels=[32,512]"),
    )
    begun = datetime(2026, 11, 24)
    storage = open_storage(f"sqlite:///{tmp_path}/s.db")
    described = parts(f"+study={name}", *overrides)
    epochs, steps = (parse_settings(described[part], checks=CHECKS) for part in ("equal_epochs", "equal_steps"))
    add_trials(epochs, storage, 8, begun=begun, ended=begun + timedelta(seconds=100))
    later = begun + timedelta(days=1)
    add_trials(steps, storage, 7, begun=later, ended=later + timedelta(seconds=30))
    with pytest.raises(ValueError, match="larger_batches_are_better_equal_steps is not finished"):
        experiment_of(name, overrides)
    add_trials(steps, storage, 1, begun=later, ended=later + timedelta(seconds=50))
    found = experiment_of(name, overrides)
    assert (found.seconds, found.day, found.folder) == (100 + 50, "2026-11-25", tmp_path / "out")


def test_the_machine_is_the_one_that_the_trials_recorded() -> None:
    here, there = ({"device": "cpu", "processor": f"{n} cores of X"} for n in (2, 64))
    trials = [create_trial(value=0.0, user_attrs=attributes) for attributes in (there, here, there)]
    assert machine(trials) == "device cpu; 2 cores of X and 64 cores of X"
    assert machine([create_trial(value=0.0)]) == "device cpu; unknown processor"


def evidence(*overrides: str, **more: Any) -> PartTrials:
    settings = parse_settings(
        compose(["+study=hypotheses/more_layers_are_better", "replicates=6", *overrides]), checks=CHECKS
    )
    return PartTrials("", settings, view_of_trials(settings), **{"recorded": settings.hypothesis, **more})


def with_trials(part: PartTrials, trials: Sequence[FrozenTrial]) -> PartTrials:
    return replace(part, view=view_of_trials(part.settings, trials))


def test_nothing_is_concluded_from_a_part_that_is_not_finished() -> None:
    found = conclude([evidence(is_finished=False)])
    assert (found.word, found.missing) == ("undecided", {"": "0 of 96 trainings are finished"})


def every_slot(settings: StudySettings, value: Callable[[Any, int], float]) -> list[FrozenTrial]:
    """Complete trials of a grid, whose values follow from point and replicate."""
    design, trials = grid_design(settings.space, seed=settings.seed, replicates=settings.replicates), []
    for slot in range(settings.n_trials):
        point, replicate = design(slot), replicate_of(settings, slot)
        distributions = {name: settings.space[name].distribution() for name in point}
        recorded = {schema.REPLICATE: replicate, schema.SECONDS: 1.0}
        trials.append(
            create_trial(value=value(point, replicate), params=point, distributions=distributions, user_attrs=recorded)
        )
    return trials


def deep_or_not(point: Any, replicate: int) -> float:
    """Six layers gain 0.035 and lose 0.005 by turns, on average 0.015 with a standard deviation of 0.02 · √(6 / 5)."""
    return 0.9 + (0.015 + (0.02 if replicate % 2 else -0.02) if point["n_layers"] == 6 else 0.0)


def on_the_boundary(point: Any, replicate: int) -> float:
    """Six layers gain 0.0051 on average, with a spread a hundred times the distance from the boundary."""
    return 0.9 + (0.0051 + (0.01 if replicate % 2 else -0.01) if point["n_layers"] == 6 else 0.0)


def test_the_trials_that_would_decide_are_those_beside_the_ones_there_are() -> None:
    part = evidence()
    found = conclude([with_trials(part, every_slot(part.settings, deep_or_not))])
    (finding,) = found.tests.values()
    assert (finding.word, finding.gain.n, finding.gain.value) == ("undecided", 6, pytest.approx(0.015))
    spread = 0.02 * math.sqrt(6 / 5)
    reach = {n: (t.ppf(0.975, n - 1) + t.ppf(0.8, n - 1)) * spread / math.sqrt(n) for n in range(7, 100)}
    fewest = next(n for n in reach if reach[n] <= 0.015 - 0.005)  # the rule decides with a chance of 80 %
    assert (fewest, finding.seeds_needed) == (40, 40)
    assert (found.more_seeds, found.more_trials) == ({"": 40 - 6}, {"": (40 - 6) * 4 * 4})  # cells of n_layers × lr
    assert found.remedies == {
        "": "About 40 seeds would decide it with a chance of 80 %, if gain and spread stay as they are; a "
        "hypothesis that has begun takes no more of them, so run another study: replicates=40 "
        "study_name=more_layers_are_better-2 (640 trainings)."
    }


def test_an_undecided_claim_says_at_its_head_how_many_seeds_it_takes(tmp_path: Path) -> None:
    part = evidence()
    found = conclude([with_trials(part, every_slot(part.settings, deep_or_not))])
    write_hypothesis(tmp_path, found, [part], console=Console(file=io.StringIO()))
    first = (tmp_path / "hypothesis.md").read_text().split("\n\n")[1]
    assert first.endswith("n = 6), about 35 more seeds would decide it.")
    (row,) = csv.DictReader(io.StringIO((tmp_path / "hypothesis.csv").read_text()))
    assert (row["verdict"], row["more_seeds"]) == ("undecided", "34")


def test_a_gain_on_its_boundary_asks_for_no_endless_number_of_seeds() -> None:
    part = evidence()
    found = conclude([with_trials(part, every_slot(part.settings, on_the_boundary))])
    assert found.word == "undecided"
    assert (found.more_seeds, found.more_trials) == ({"": MOST_MORE_SEEDS}, {})
    assert found.remedies == {"": f"Over {MOST_MORE_SEEDS} more seeds would be needed: the gain is near its boundary."}


def test_a_part_is_decided_under_another_name_of_the_whole(tmp_path: Path) -> None:
    part = replace(evidence("study_name=deep_first"), name="first")
    part = with_trials(part, every_slot(part.settings, deep_or_not))
    found = conclude([part])
    write_hypothesis(tmp_path, found, [part], console=Console(file=io.StringIO()))
    assert "replicates=40 study_name=deep-2 (640 trainings of this part)." in (tmp_path / "hypothesis.md").read_text()


@pytest.mark.slow
def test_an_undecided_independence_is_decided_by_whole_replicates() -> None:
    settings = parse_settings(compose(["+study=hypotheses/hyperparameters_are_independent"]), checks=CHECKS)
    rng = np.random.default_rng(0)
    trials = every_slot(
        settings,
        lambda point, _: (
            0.5 + 0.02 * math.log10(point["lr"]) * (point["batch_size"] > 64) + 0.03 * rng.standard_normal()
        ),
    )
    part = PartTrials("", settings, view_of_trials(settings, trials), recorded=settings.hypothesis)
    found = conclude([part])
    (finding,) = found.tests.values()
    n_cells = settings.n_trials // settings.replicates
    replicates = math.ceil(finding.seeds_needed / n_cells)
    assert finding.word == "undecided"
    assert settings.replicates < replicates
    assert f"replicates={replicates} " in found.remedies[""]
    assert f"({replicates * n_cells} trainings)" in found.remedies[""]


def test_a_part_that_decides_nothing_is_told_beside_the_verdict() -> None:
    deciding, beside = evidence(), replace(evidence("+hypothesis.decides=false"), name="beside")
    gains = every_slot(deciding.settings, lambda point, seed: 0.9 + (0.01 + 5e-4 * seed) * (point["n_layers"] == 6))
    losses = every_slot(deciding.settings, lambda point, seed: 0.9 - (0.01 + 5e-4 * seed) * (point["n_layers"] == 6))
    found = conclude([with_trials(deciding, gains), with_trials(beside, losses)])
    assert (found.word, list(found.tests)) == ("supported", [""])
    (told,) = found.beside
    assert "beside" in told
    assert "-0.01" in told


def test_a_rule_that_was_changed_after_the_first_trial_is_told(tmp_path: Path) -> None:
    part = evidence("hypothesis.boundary=-0.5", recorded=evidence().settings.hypothesis)
    found = conclude([part])
    assert found.changed == ["more_layers_are_better"]
    assert "changed after the data were seen" in found.sentence
    write_hypothesis(tmp_path, found, [part], console=Console(file=io.StringIO()))
    assert "was changed after the first trial" in (tmp_path / "hypothesis.md").read_text()
    assert conclude([evidence()]).changed == []


def test_what_says_nothing_has_a_row_and_an_earlier_conclusion_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    others = [tmp_path / "figures" / "main_lr.png", tmp_path / "report.md"]
    stale = [tmp_path / "figures" / name for name in ("verdict.png", "regret.csv", "regret_settings.png")]
    for path in (*others, *stale):
        path.touch()
    parts = [evidence(is_finished=False)]
    write_hypothesis(tmp_path, conclude(parts), parts, console=Console(file=io.StringIO()))
    (row,) = csv.DictReader(io.StringIO((tmp_path / "hypothesis.csv").read_text()))
    assert (row["verdict"], row["what"]) == ("undecided", "0 of 96 trainings are finished")
    assert [path.exists() for path in (*others, *stale)] == [True, True, False, False, False]
    remove_hypothesis(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["main_lr.png", "report.md"]


def measured(value: float) -> HypothesisTest:
    return HypothesisTest("gain", Estimate(value, value - 0.005, value + 0.005, 6), 0.0, "val/accuracy")


def test_how_parts_make_up_the_verdict_is_told_with_it() -> None:
    found = Conclusion("More is better", tests={"epochs": measured(-0.1), "steps": measured(0.1)})
    assert found.sentence == (
        "More is better: contradicted on this task. The claim has to hold in every part: epochs contradicts it, steps "
        "supports it."
    )
    found.missing["seconds"] = "nothing was trained"
    assert found.sentence.startswith("More is better: undecided")
    assert found.combined.endswith("steps supports it, seconds says nothing yet.")
    assert Conclusion("More is better", tests={"": measured(0.1)}).sentence == "More is better: supported on this task."


def test_what_parts_hold_fixed_in_common_is_told_once(tmp_path: Path) -> None:
    own = [replace(evidence(f"budget.amount={amount}"), name=f"long_{amount}") for amount in (5, 9)]
    write_hypothesis(tmp_path, Conclusion("More is better"), own, console=Console(file=io.StringIO()))
    held = (tmp_path / "hypothesis.md").read_text().partition("## Held fixed\n\n")[2]
    assert "| setting | long_5 | long_9 |\n| --- | --- | --- |\n| budget | 5 epochs | 9 epochs |\n" in held
    common = held.partition("In all parts:\n\n| setting | value |")[2].partition("\n\n## Files")[0]
    assert r"| model.optimizer.\_target\_ |" in common
    assert all(line.count("|") == 3 for line in common.strip().splitlines()[1:])
    write_hypothesis(tmp_path, Conclusion("More is better"), own[:1], console=Console(file=io.StringIO()))
    assert (
        "## Held fixed\n\n| setting | value |\n| --- | --- |\n| budget | 5 epochs |"
        in (tmp_path / "hypothesis.md").read_text()
    )


def test_the_verdict_stands_over_its_figure_and_the_boundary_is_named() -> None:
    drawing = verdict_drawing({"": measured(-0.1)}, claim="More is better", word="contradicted")
    figure = Figure(layout="constrained")
    drawing.draw(figure, drawing.rows)
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "More is better: contradicted"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["boundary: the least gain that supports the claim"]


def test_a_study_keeps_the_rule_of_its_hypothesis_from_before_the_first_trial(tmp_path: Path) -> None:
    settings = evidence().settings
    study = open_study(replace(settings, output_dir=tmp_path), open_storage(f"sqlite:///{tmp_path}/s.db"))
    assert rule_of(study) == settings.hypothesis


def test_a_fork_of_a_hypothesis_is_refused() -> None:
    with pytest.raises(BadInput, match="resume is fork"):
        parts("+study=hypotheses/more_layers_are_better", "resume=fork")
