"""Which way a metric is better: what its name says, and that nobody inherits the direction of another metric."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from omegaconf import OmegaConf
from shell import USERS

from studies.cli.experiment import each_part
from studies.cli.reports import view_of_stored
from studies.cli.validation import CHECKS
from studies.config.composing.configs import compose, config_dir
from studies.config.parsing.direction import USUAL, usual_direction
from studies.config.parsing.settings import parse_settings
from studies.config.settings import AnalysisSettings, StudySettings
from studies.errors import BadInput
from studies.reporting.goal import goal, goal_notes, goal_sentence

Compose = Callable[..., StudySettings]
TAKEN_OVER = (
    "objective.direction is None, and objective.metric is {}: "
    "if the model logs a metric of this name, say which way it is better: "
)


@pytest.fixture
def read(user_modules: None) -> Compose:
    """Settings of a study of users, or a shipped one, as the command line gives them."""

    def read_study(*overrides: str, study: str = "plain") -> StudySettings:
        config = compose([f"+study={study}", *overrides], config_dirs=[str(USERS / "conf")])
        return parse_settings(config, checks=CHECKS)

    return read_study


@pytest.mark.parametrize(
    "metric",
    [
        *("val_loss", "val/loss", "valLoss", "LOSS", "loss_epoch", "val_loss/dataloader_idx_0", "loss/val", "loss2"),
        *("MeanSquaredError", "val_mse", "RMSE", "error_rate", "test/word_error_rate", "WER", "accuracy_error"),
        *("perplexity", "ppl", "nll", "negative_log_likelihood", "cross_entropy", "kl_divergence", "fid", "bpb"),
        *("brier_score", "val/loss_mean", "regret", "seconds", "peak_memory_mb", "hd95"),
    ],
)
def test_less_is_better_of_a_loss_by_any_name(metric: str) -> None:
    assert usual_direction(metric) == "minimize"


@pytest.mark.parametrize(
    "metric",
    [
        *("val/accuracy", "acc", "val_acc_top5", "top5_accuracy", "acc@1", "f1", "val_f1_macro", "BinaryF1Score"),
        *("roc_auc", "MulticlassAUROC", "mAP", "mAP50-95", "val/mIoU", "dice_coefficient", "R2Score", "recall@10"),
        *("bleu-4", "rouge1", "psnr", "ssim", "log_likelihood", "mean_average_precision", "episode_return"),
    ],
)
def test_more_is_better_of_an_accuracy_by_any_name(metric: str) -> None:
    assert usual_direction(metric) == "maximize"


@pytest.mark.parametrize(
    "metric",
    [
        *("score", "height", "value", "val", "elbo", "loss_scale", "lossless_ratio", "glossary", "error_free_rate"),
        *("val/neg_loss", "negative_loss", "1-accuracy", "one_minus_accuracy", "-loss", "neg_mean_squared_error"),
        *("delta_loss", "loss_reduction", "accuracy_std", "loss_weight", "true_negative_rate", "", "_"),
    ],
)
def test_a_name_that_does_not_say_it_is_left_alone(metric: str) -> None:
    assert usual_direction(metric) is None


def test_the_default_metric_has_its_usual_direction() -> None:
    objective = OmegaConf.load(config_dir() / "config.yaml").objective
    assert {objective.metric: "maximize"} == USUAL
    assert objective.direction is None
    settings = parse_settings(compose(["+study=digits"]))
    assert settings.objective.direction == settings.template.objective.direction == "maximize"


@pytest.mark.parametrize(
    ("override", "metric"),
    [
        ("objective.metric=train_loss", "train_loss"),
        ("objective={metric: train_loss}", "train_loss"),
        ("objective.metric=score", "score"),
        ("objective.metric=val/accuracy", ""),  # the default metric brings its direction
        ("objective.metric=val_loss", ""),
        ("objective={metric: score, direction: maximize}", ""),
    ],
)
def test_another_metric_does_not_take_over_the_direction_of_the_study(
    read: Compose, override: str, metric: str
) -> None:
    if metric:
        with pytest.raises(BadInput) as caught:
            read(override)
        assert f"  - {TAKEN_OVER.format(metric)}" in str(caught.value)
    else:
        assert read(override).objective.direction == ("minimize" if "val_loss" in override else "maximize")


def test_a_study_that_names_a_metric_alone_does_not_take_over_the_default(read: Compose, tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    text = (USERS / "conf/study/plain.yaml").read_text().replace("  direction: minimize\n", "")
    (tmp_path / "study/alone.yaml").write_text(text)
    folders = [str(USERS / "conf"), str(tmp_path)]
    with pytest.raises(BadInput, match=r"metric is val_loss: .* say which way it is better: objective.direction=min"):
        parse_settings(compose(["+study=alone"], config_dirs=folders))


def test_a_part_of_a_hypothesis_does_not_take_over_the_direction_of_the_whole() -> None:
    parts = "+hypothesis={claim: a, rule: none, of: null, boundary: 1, parts: {p: {objective: {metric: score}}}}"
    config = compose(["+study=digits", parts.lstrip("+"), "objective.direction=maximize"])
    (part,) = each_part(config)
    with pytest.raises(BadInput, match=r"objective.direction is None, and objective.metric is score"):
        parse_settings(part.config)


def test_a_second_metric_does_not_take_over_the_direction_of_another(read: Compose) -> None:
    settings = read("objective.second.metric=peak_memory_mb", study="mnist_accuracy_time")
    assert settings.objective.second is not None
    assert settings.objective.second.direction == "minimize"
    with pytest.raises(BadInput, match=r"objective.second.direction is None, and objective.second.metric is val/loss"):
        read("objective.second.metric=val/loss", study="mnist_accuracy_time")


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (
            ("objective.direction=maximize",),
            "objective.direction is maximize, but of val_loss less is better by its name: "
            "give objective.direction=minimize, or confirm it by objective.direction_is_meant=true",
        ),
        (
            ("objective={metric: val_acc, direction: minimize}",),
            "objective.direction is minimize, but of val_acc more is better by its name: "
            "give objective.direction=maximize, or confirm it by objective.direction_is_meant=true",
        ),
        (
            ("objective.second={metric: train_loss, direction: maximize}",),
            "objective.second.direction is maximize, but of train_loss less is better by its name: "
            "give objective.second.direction=minimize, or confirm it by objective.second.direction_is_meant=true",
        ),
    ],
)
def test_the_wrong_way_round_is_refused(read: Compose, overrides: tuple[str, ...], problem: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(*overrides)
    assert [str(found) for found in caught.value.problems] == [problem]


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("objective={metric: acc, direction: maximize}", "is 0, which each trial reaches"),
        ("objective={metric: mse, direction: minimize}", "is -1, which no trial can reach"),
        ("objective={metric: score, direction: maximize}", ""),
        ("objective={metric: nll, direction: minimize}", ""),
    ],
)
def test_a_value_to_stop_at_on_the_wrong_side_is_refused(read: Compose, override: str, complaint: str) -> None:
    stop_at = f"stop_at={'0' if 'maximize' in override else '-1'}"
    if not complaint:
        assert read(override, stop_at).stop_at is not None
        return
    with pytest.raises(BadInput) as caught:
        read(override, stop_at)
    (problem,) = caught.value.problems
    assert (problem.key, problem.complaint.partition(":")[0]) == ("stop_at", complaint)


def test_what_is_confirmed_is_done_and_told(read: Compose) -> None:
    second = "objective.second={metric: train_loss, direction: maximize, direction_is_meant: true}"
    objective = read("objective.direction=maximize", "objective.direction_is_meant=true", second).objective
    assert objective.directions == ("maximize", "maximize")
    assert goal(objective) == "maximize val_loss and maximize train_loss"
    assert goal_notes(objective) == [
        "note: objective.direction_is_meant confirms it: of val_loss less is better by its name",
        "note: objective.second.direction_is_meant confirms it: of train_loss less is better by its name",
    ]


def test_a_confirmation_that_nothing_needs_is_told(read: Compose) -> None:
    assert goal_notes(read().objective) == []
    (note,) = goal_notes(read("objective.direction_is_meant=true").objective)
    assert note == "note: objective.direction_is_meant does nothing: minimize needs no confirmation"


@pytest.mark.filterwarnings("ignore:.*set_metric_names is experimental.*")
def test_reports_say_what_is_optimised(read: Compose) -> None:
    found = goal_sentence(read("objective.value=best").objective)
    assert found == "Objective: minimize val_loss. The value of a trial is that at its best rung."
    study = optuna.create_study(study_name="foreign", direction="maximize")
    study.set_metric_names(["test_loss"])
    goal_of_it = view_of_stored(study, AnalysisSettings("none", None, "auto", None), seed=0).goal
    assert goal_of_it == "Objective: maximize test_loss. Note that of test_loss less is better by its name."
