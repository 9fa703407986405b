"""A question to a study: its file, which runs as the command does, and which decides once it is there."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import optuna
import pytest
from composing import composed
from landscapes import Landscape, run_study
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from selections import by_dropout
from shell import USERS

from studies.cli.question import designed_config
from studies.cli.question_yaml import OWN
from studies.cli.validation import CHECKS
from studies.config.composing.configs import compose, compose_file
from studies.config.parsing.settings import parse_settings
from studies.config.settings import StudySettings
from studies.config.space import Point
from studies.errors import BadInput, StudyChanged
from studies.storage.creation import open_study
from studies.storage.identity import find_study, identity
from studies.storage.opening import open_storage

Ask = Callable[..., tuple[DictConfig, str]]
SEARCH = ("n_trials=8", "sampler=random", "pruner=none", "launcher=serial", "analysis=none")


@pytest.fixture
def ask(tmp_path: Path, data_dir: Path, as_command: None, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Ask study digits, whose files lie in tmp_path. Return the designed config, and what is printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(USERS))

    def ask(*overrides: str, study: str = "digits") -> tuple[DictConfig, str]:
        out = StringIO()
        given = [f"+study={study}", *SEARCH, f"datamodule.data_dir={data_dir}", *overrides]
        config = composed(*given)
        return designed_config(config, Console(file=out, soft_wrap=True, width=600, markup=False)), out.getvalue()

    return ask


@pytest.fixture
def search(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., StudySettings]:
    """Run the search on known values."""
    monkeypatch.chdir(tmp_path)

    def run(*overrides: str, worth: Callable[[Point], float] = by_dropout) -> StudySettings:
        settings = parse_settings(composed("+study=digits", *SEARCH, f"datamodule.data_dir={data_dir}", *overrides))
        settings.output_dir.mkdir(parents=True, exist_ok=True)
        run_study(settings, open_storage("sqlite:///outputs/studies.db"), Landscape(worth))
        return settings

    return run


def run_designed(config: DictConfig) -> StudySettings:
    settings = parse_settings(config, checks=CHECKS)
    run_study(settings, open_storage(settings.storage.address), Landscape(by_dropout))
    return settings


def pins(settings: StudySettings) -> Point:
    return {p.name: (p.levels or ())[0] for p in settings.space if len(p.levels or ()) == 1}


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("budget.amount=2", "seed=3", "trainer.precision=bf16-mixed", "max_trial_s=60"),
        ("+callbacks=early_stopping", "+loggers=csv", "model=cnn", "search_space=cnn", "objective.test=true"),
        ("+vars={size: 1, name: on}", "+links={model.network.n_classes: datamodule.n_classes}", "device_seconds=1e5"),
        ("objective={metric: val/loss, direction: minimize}", "+vars.home=${oc.env:HOME}", "model.optimizer.lr=1e-5"),
    ],
)
def test_the_file_alone_composes_to_the_config_of_the_command(
    ask: Ask, overrides: tuple[str, ...], tmp_path: Path
) -> None:
    searched = compose(["+study=digits", *SEARCH, *overrides])
    designed, _ = ask("question=[lr,batch_size]", *overrides)
    again = compose_file(tmp_path / "outputs" / "digits" / "question.yaml")
    assert OmegaConf.to_container(again, resolve=False) == OmegaConf.to_container(designed, resolve=False)
    now, before = (OmegaConf.to_container(one, resolve=False) for one in (designed, searched))
    assert isinstance(now, dict)
    assert isinstance(before, dict)
    kept = set(before) - {*OWN, "datamodule"}
    assert {key: now[key] for key in kept} == {key: before[key] for key in kept}
    assert designed.study_name == "digits-lr-batch_size"
    assert (designed.sampler.name, designed.pruner.name, designed.select.name) == ("grid", "none", "none")
    settings = parse_settings(designed, checks=CHECKS)
    assert str(settings.output_dir) == "outputs/digits-lr-batch_size"
    assert settings.analysis.name == "full"


def test_the_order_of_the_names_makes_no_other_study(ask: Ask) -> None:
    first, _ = ask("question=[lr,batch_size]")
    turned, printed = ask("question=[batch_size,lr]")
    assert turned == first
    assert turned.study_name == "digits-lr-batch_size"
    assert "question to study digits: lr × batch_size" in printed


def test_what_the_best_trial_has_is_pinned_and_told_with_the_cost(
    ask: Ask, search: Callable[..., StudySettings]
) -> None:
    settings = search()
    study = optuna.load_study(study_name="digits", storage="sqlite:///outputs/studies.db")
    designed, printed = ask("question=[lr,batch_size]")
    best = study.best_trial
    assert pins(parse_settings(designed)) == {k: v for k, v in best.params.items() if k not in ("lr", "batch_size")}
    assert f"pinned to trial {best.number}, the best of 8 finished trials" in printed
    n = len(parse_settings(designed).space.grid()) * designed.replicates
    assert f"cost: {n} trainings, about {duration_of(n)} on 1 worker" in printed
    assert f"file: {settings.output_dir}/question.yaml" in printed


def duration_of(n: int) -> str:
    """Each training on the landscape took a second."""
    return f"{n} s" if n < 60 else f"{n // 60} min {n % 60:02d} s"


@pytest.mark.slow
def test_a_search_that_goes_on_does_not_change_the_design_under_way(
    ask: Ask, search: Callable[..., StudySettings]
) -> None:
    search()
    first, _ = ask("question=[n_layers,activation]")
    run_designed(first)
    search("n_trials=12", worth=lambda point: 1 + by_dropout(point))
    again, printed = ask("question=[n_layers,activation]", "n_trials=12")
    assert again == first
    assert "note:" not in printed
    assert "cost: none, for all trainings are finished" in printed
    Path("outputs/digits/question.yaml").unlink()  # as on another machine
    restored, printed = ask("question=[n_layers,activation]", "n_trials=12")
    assert identity(parse_settings(restored)) == identity(parse_settings(first))
    assert "design: that of the stored study" in printed
    Path("outputs/digits/question.yaml").unlink()
    optuna.delete_study(study_name="digits-n_layers-activation", storage="sqlite:///outputs/studies.db")
    anew, _ = ask("question=[n_layers,activation]", "n_trials=12")
    assert pins(parse_settings(anew)) != pins(parse_settings(first))


@pytest.mark.slow
def test_an_edited_file_decides_and_the_storage_refuses_what_it_cannot_continue(
    ask: Ask, search: Callable[..., StudySettings]
) -> None:
    search()
    first, _ = ask("question=[n_layers,activation]")
    file = Path("outputs/digits/question.yaml")
    file.write_text(file.read_text().replace("amount: 3", "amount: 4"))
    edited, printed = ask("question=[n_layers,activation]")
    assert (first.budget.amount, edited.budget.amount) == (3, 4)
    assert "note: the file decides, which differs from this command (budget.amount=4)" in printed
    run_designed(edited)
    file.write_text(file.read_text().replace("amount: 4", "amount: 5"))
    conflicting, _ = ask("question=[n_layers,activation]")
    with pytest.raises(StudyChanged, match=r"budget.amount is 5 but 4 in the stored study"):
        find_study(parse_settings(conflicting), open_storage("sqlite:///outputs/studies.db"))


def test_a_question_goes_on_with_the_replicates_of_its_study(ask: Ask, search: Callable[..., StudySettings]) -> None:
    search()
    first, _ = ask("question=[n_layers,activation]")
    more = parse_settings(OmegaConf.merge(first, {"replicates": first.replicates + 2}), checks=CHECKS)
    open_study(more, open_storage(more.storage.address))  # by a command of its own
    again, printed = ask("question=[n_layers,activation]")
    assert again.replicates == first.replicates + 2
    assert f"the stored study {more.replicates}: it goes on with {more.replicates}" in printed


def test_another_question_keeps_the_file_of_the_first_under_its_own_name(ask: Ask) -> None:
    first, _ = ask("question=[lr,batch_size]")
    folder = Path("outputs/digits")
    edited = (folder / "question.yaml").read_text() + "# mine\n"
    (folder / "question.yaml").write_text(edited)
    ask("question=[lr,width]")
    assert (folder / "digits-lr-batch_size.yaml").read_text() == edited
    again, _ = ask("question=[lr,batch_size]")
    assert again == first
    assert (folder / "question.yaml").read_text() == edited
    assert (folder / "digits-lr-width.yaml").is_file()


def test_workers_and_the_time_limit_are_those_of_each_command(ask: Ask) -> None:
    first, _ = ask("question=[lr,width]", "timeout_s=9", "workers=1")
    assert (first.timeout_s, first.workers) == (9, 1)
    again, printed = ask("question=[lr,width]")
    assert (again.timeout_s, again.workers) == (None, "auto")
    assert "note:" not in printed


def test_one_parameter_and_three_make_a_grid_too(ask: Ask) -> None:
    one, printed = ask("question=lr")
    assert one.study_name == "digits-lr"
    assert len(parse_settings(one).space.grid()) == 7
    assert "show an effect of 5 % of the variance of the search" in printed
    three, _ = ask("question=[lr,n_layers,activation]")
    assert len(parse_settings(three).space.grid()) == 63


def test_of_two_objectives_the_first_is_told_to_decide(ask: Ask) -> None:
    designed, printed = ask("question=[lr,width]", "objective.second={metric: seconds, direction: minimize}")
    assert "of 2 objectives the first, val/accuracy, chose the pins and is analysed" in printed
    assert parse_settings(designed, checks=CHECKS).objective.second is not None


def test_a_folder_of_its_own_stands_beside_that_of_the_search(ask: Ask, tmp_path: Path) -> None:
    designed, _ = ask("question=lr", f"output_dir={tmp_path}/there/digits")
    assert designed.output_dir == f"{tmp_path}/there/digits-lr"
    designed, _ = ask("question=lr", f"output_dir={tmp_path}/there/mine")
    assert designed.output_dir == f"{tmp_path}/there/mine/digits-lr"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["question=[lr,batchsize]"], "question names batchsize, which is no parameter of the search: did you mean"),
        (["question=lr", "+search_space.lr.role=fixed"], "question names lr, whose role is fixed"),
        (["question=lr", "resume=fork"], "resume is fork, and a question is asked of a stored study: leave it out"),
        (["question=[[lr]]"], "name parameters of the search, as in question="),
        (
            ["question=lr", "+search_space.dropout.when={activation: [relu]}", "search_space.width.low=3"],
            "power of two",
        ),
        (
            ["question=[dropout,activation]", "+search_space.dropout.when={activation: [relu]}"],
            "dropout, which is active only if activation is relu: leave activation out",
        ),
        (
            ["question=lr", "model.network.activation=s3cret-t0ken", "+model.api_key=0123456789abcdef"],
            "model.api_key holds a secret, which question.yaml leaves out: give it as ${oc.env:NAME}",
        ),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(ask: Ask, overrides: list[str], said: str) -> None:
    with pytest.raises(BadInput) as caught:
        ask(*overrides)
    assert said in str(caught.value)
    assert not Path("outputs/digits/question.yaml").exists()


def test_a_grid_and_a_hypothesis_take_no_question(ask: Ask) -> None:
    with pytest.raises(BadInput, match="question is asked of digits_grid, a grid: read its report"):
        ask("question=[lr,batch_size]", "n_trials=null", "sampler=grid", study="digits_grid")
    with pytest.raises(BadInput, match="which has a hypothesis: leave question out"):
        ask("question=lr", "hypothesis={claim: x, rule: none, of: lr, boundary: 0.1}")


def test_a_file_that_cannot_be_written_or_read_is_told(ask: Ask) -> None:
    file = Path("outputs/digits/question.yaml")
    file.mkdir(parents=True)
    with pytest.raises(BadInput, match=r"output_dir is outputs/digits, and outputs/digits/question.yaml cannot be"):
        ask("question=lr")
    file.rmdir()
    file.write_text("study_name: [")
    with pytest.raises(BadInput, match=r"question\.yaml.* is no YAML"):
        ask("question=lr")
    file.write_text("defaults: [override /sampler: nothing]\n")
    with pytest.raises(BadInput, match=r"question is written in outputs/digits/question.yaml, which does not compose"):
        ask("question=lr")


def test_other_commands_refuse_a_question(make_settings: Callable[..., StudySettings]) -> None:
    with pytest.raises(
        BadInput, match=r"question is \['lr'\], and only studies.run answers one: leave it out, or name"
    ):
        make_settings("question=[lr]")
