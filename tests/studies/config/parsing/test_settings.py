from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf
from written import BATCH_SIZE, DECAY, EXPLORE, GATED, GRID, LAW, SERIAL, SPACE, changed, problems_of, read

from studies.cli.validation import CHECKS
from studies.config.budget import Budget
from studies.config.parsing.settings import parse_settings
from studies.config.parsing.template import TRAINER_KEYS_OF_OURS
from studies.config.settings import AnalysisSettings, StudySettings
from studies.errors import BadInput, Problem

MakeSettings = Callable[..., StudySettings]

BAD: list[tuple[dict[str, Any], str, str, str]] = [
    ({"n_trails": 3}, "n_trails", "is not a known key", "did you mean n_trials?"),
    ({"objective__metrik": "x"}, "objective.metrik", "is not a known key", "did you mean metric?"),
    ({"budget__rung": 3}, "budget.rung", "is not a known key", "did you mean rungs?"),
    ({"storage__urll": "x"}, "storage.urll", "is not a known key", "did you mean url?"),
    ({"search_space__lr__lowe": 3}, "search_space.lr.lowe", "is not a known key", "did you mean low?"),
    ({"sampler": {"name": "tep"}}, "sampler.name", "'tep'", "did you mean tpe?"),
    ({"pruner": {"name": "mediann"}}, "pruner.name", "'mediann'", "did you mean median?"),
    ({"launcher": {"name": "locale"}}, "launcher.name", "'locale'", "did you mean local?"),
    ({"resume": "frok"}, "resume", "'frok'", "did you mean fork?"),
    ({"objective__direction": "maximise"}, "objective.direction", "'maximise'", "did you mean maximize?"),
    ({"objective__value": "lasst"}, "objective.value", "'lasst'", "did you mean last?"),
    ({"budget__unit": "epoch"}, "budget.unit", "'epoch'", "did you mean epochs?"),
    ({"objective__metric": ""}, "objective.metric", "''", "non-empty text"),
    ({"objective__tolerance": 0}, "objective.tolerance", "0", "greater than 0"),
    ({"n_trials": None}, "n_trials", "is null", "the study's total number of trials"),
    ({"n_trials": 0}, "n_trials", "0", "at least 1"),
    ({"n_trials": 2.5}, "n_trials", "2.5", "whole number"),
    ({"n_trials": "many"}, "n_trials", "'many'", "whole number"),
    ({"seed": -1}, "seed", "-1", "at least 0"),
    ({"workers": 0}, "workers", "0", "at least 1"),
    ({"workers": "all"}, "workers", "'all'", "at least 1"),
    ({"timeout_s": 0}, "timeout_s", "0", "greater than 0"),
    ({"max_trial_s": -1}, "max_trial_s", "-1", "greater than 0"),
    ({"max_retries": -1}, "max_retries", "-1", "at least 0"),
    ({"max_failures": 0}, "max_failures", "0", "at least 1"),
    ({"storage__url": None}, "storage.url", "None", "non-empty text"),
    ({"storage__url_env": "MYDB"}, "storage.url_env", "MYDB but storage.url is given too", "storage.url=null"),
    ({"storage__url_env": "STUDIES_STORAGE_URL"}, "storage.url_env", "storage.url is given too", "storage.url=null"),
    ({"storage__lease_s": 0.5}, "storage.lease_s", "0.5", "at least 1"),
    ({"replicates": 2}, "replicates", "is 2 but sampler is tpe", "set sampler=grid, or replicates=1"),
    ({**GRID, "n_trials": 8}, "n_trials", "is 8 but the grid has 9 cells", "n_trials=null (or give 9)"),
    ({**GRID, "replicates": 2, "n_trials": 9}, "n_trials", "is 9 but the grid has 18 cells", "(or give 18)"),
    ({**GRID, "search_space__lr__levels": None}, "search_space.lr.levels", "missing and sampler is grid", "levels"),
    ({**GRID, "enqueue": [{"lr": 0.001}]}, "enqueue", "does nothing for a grid", "remove it"),
    ({"budget__rungs": 2}, "budget.rungs", "2", "leave it null: each epoch is a rung"),
    ({"budget__amount": 0}, "budget.amount", "0", "at least 1"),
    ({"budget__amount": 1.5}, "budget.amount", "1.5", "whole number"),
    ({"budget": {"unit": "steps", "amount": 5, "rungs": 6}}, "budget.rungs", "6 for 5 steps", "no more rungs"),
    ({"budget": {"unit": "steps", "amount": 5}}, "budget.rungs", "10 for 5 steps", "no more rungs"),
    ({"budget": {"unit": "seconds", "amount": 0}}, "budget.amount", "0", "greater than 0"),
    ({"enqueue": 3}, "enqueue", "3", "give a list of points"),
    ({"enqueue": [{"lrr": 0.01}]}, "enqueue.0.lrr", "is not a known key", "did you mean lr?"),
    ({"enqueue": [{"lr": 0.01}, {"lr": 0.5}]}, "enqueue.1.lr", "0.5, outside the search space", "can take"),
    ({"enqueue": [{"batch_size": 48}]}, "enqueue.0.batch_size", "48, outside the search space", "can take"),
    ({"enqueue": [{"lr": 0.01}] * 3, "n_trials": 2}, "enqueue", "holds 3 points for 2 trials", "raise n_trials"),
    ({"storage__url": "memory"}, "storage.url", "memory but launcher is local", "set launcher=serial"),
    ({"storage__url": "sqlite://"}, "storage.url", "sqlite:// but launcher is local", "set launcher=serial"),
    ({"trainer__devices": 2}, "trainer.devices", "2", "give 1"),
    ({"trainer__num_nodes": 2}, "trainer.num_nodes", "2", "give 1"),
    ({"trainer__strategy": "ddp"}, "trainer.strategy", "'ddp' for trials on one device", "launcher.devices_per_trial"),
    ({"trainer__devices": [1]}, "trainer.devices", "[1] but launcher is local", "CUDA_VISIBLE_DEVICES"),
    (
        {"launcher__devices_per_trial": 2, "trainer__strategy": "ddp_spawn"},
        *("trainer.strategy", "'ddp_spawn'", "use one of auto, ddp, "),
    ),
    ({"launcher__devices_per_trial": 0}, "launcher.devices_per_trial", "0", "a whole number of at least 1"),
    ({"launcher__slots_per_device": "two"}, "launcher.slots_per_device", "'two'", "a whole number of at least 1"),
    (
        {"launcher__slots_per_device": 3, "launcher__devices_per_trial": 2},
        *("launcher.slots_per_device", "3 but devices_per_trial is 2", "give 1 for one of them"),
    ),
    (
        {"launcher": {"name": "serial", "slots_per_device": 2}, "workers": 1},
        *("launcher.slots_per_device", "not an option of serial", "devices_per_trial"),
    ),
    ({"launcher": {"name": "serial"}, "workers": 2}, "workers", "2 but launcher is serial", "set launcher=local"),
    ({"search_space__lr__path": "seed"}, "search_space.lr.path", "is seed", "follows from seed and its replicate"),
    ({"sampler__n_startup": 3}, "sampler.n_startup", "is not an option of tpe", "did you mean n_startup_trials?"),
    ({"sampler__seed": 3}, "sampler.seed", "is not an option of tpe", "use one of"),
    ({"sampler": {"name": "random", "n_startup_trials": 3}}, "sampler.n_startup_trials", "of random", "none to choose"),
    ({"pruner__n_warmup": 3}, "pruner.n_warmup", "is not an option of median", "did you mean n_warmup_steps?"),
    ({"pruner__n_startup_trials": -1}, "pruner", "median, which refuses its options", "cannot be negative"),
    ({"pruner": {"name": "hyperband", "max_resource": 9}}, "pruner.max_resource", "of hyperband", "min_res"),
    ({"pruner": {"name": "asha", "min_resource": 9}}, "pruner.min_resource", "9 for 3 rungs", "no more than"),
    ({"pruner": {"name": "threshold"}}, "pruner", "threshold, which refuses its options", "lower"),
    ({"launcher__threads_a_worker": 2}, "launcher.threads_a_worker", "not an option of local", "threads_per_worker"),
    ({"launcher__threads_per_worker": 0}, "launcher.threads_per_worker", "0", "auto or a whole number"),
    ({"callbacks": {"stop": {"patience": 3}}}, "callbacks.stop", "has no _target_", "dotted name of its class"),
    ({"loggers": {"csv": {"save_dir": "x"}}}, "loggers.csv", "has no _target_", "dotted name of its class"),
    ({"callbacks": ["stop"]}, "callbacks", "['stop']", "give a mapping"),
    ({"model": {}, "search_space": {"batch_size": BATCH_SIZE}}, "model", "has no _target_", "name a model"),
    ({"model": None, "search_space": {"batch_size": BATCH_SIZE}}, "model", "has no _target_", "name a model"),
    ({"model__label_smoothing": "${nope}"}, "model.label_smoothing", "Interpolation key 'nope'", "correct"),
    ({"links": {"model.network.n_classes": "${nope}"}}, "links.model.network.n_classes", "'nope'", "correct"),
    ({"links": "${nope}"}, "links", "Interpolation key 'nope'", "correct"),
    ({"analysis": "none"}, "analysis", "'none'", "give a mapping"),
    ({"analysis": {"name": "ful"}}, "analysis.name", "'ful'", "did you mean full?"),
    ({"analysis__parms": ["lr"]}, "analysis.parms", "is not a known key", "did you mean params?"),
    ({"analysis__value_policy": "last"}, "analysis.value_policy", "'last'", "use one of auto, common_rung, final"),
    ({"analysis__params": "lr"}, "analysis.params", "'lr'", "a list of parameter names, each once, or null for all"),
    ({"analysis__params": []}, "analysis.params", "[]", "a list of parameter names"),
    ({"analysis__params": ["lr", "lr"]}, "analysis.params", "['lr', 'lr']", "each once"),
    ({"analysis__params": ["lr", "lrr"]}, "analysis.params.1", "'lrr', which is not searched", "did you mean lr?"),
    ({"analysis__law": "none"}, "analysis.law", "'none'", "auto, [] for none, or pairs [tuned, followed]"),
    ({"analysis__law": None}, "analysis.law", "None", "auto, [] for none, or pairs"),
    ({"analysis__law": ["lr", "batch_size"]}, "analysis.law", "['lr', 'batch_size']", "as in [[lr, batch_size]]"),
    ({"analysis__law": [["lr"]]}, "analysis.law", "[['lr']]", "pairs [tuned, followed]"),
    ({"analysis__law": [["lr", "lr"]]}, "analysis.law.0", "['lr', 'lr']", "name two parameters"),
    ({"analysis__law": [LAW, LAW]}, "analysis.law.1", "['lr', 'batch_size']", "each pair once"),
    ({"analysis__law": [["lr", "batchsize"]]}, "analysis.law.0.1", "'batchsize', which is not", "mean batch_size?"),
    ({**GATED, "analysis__law": [["lr", "gate"]]}, "analysis.law.0.1", "gate, a categorical", "one of batch_size, lr"),
    ({"sampler__explore_fraction": 1}, "sampler.explore_fraction", "1", "a number from 0 to less than 1, or null for"),
    ({"sampler__explore_fraction": -0.1}, "sampler.explore_fraction", "-0.1", "a number from 0 to less than 1"),
    ({"sampler__explore_fraction": "half"}, "sampler.explore_fraction", "'half'", "a number from 0 to less than 1"),
    ({"sampler__explore_fraction": float("nan")}, "sampler.explore_fraction", "nan", "from 0 to less than 1"),
    ({"sampler__explore_fraction": False}, "sampler.explore_fraction", "False", "from 0 to less than 1"),
    ({"sampler__explore_fractoin": 0.1}, "sampler.explore_fractoin", "not an option of tpe", "explore_fraction?"),
    ({"sampler": {"name": "qmc", **EXPLORE}}, "sampler.explore_fraction", "0.1 but sampler is qmc", "remove it"),
    ({"select": {"name": "race", "estimate_seeds": 1}}, "select.estimate_seeds", "1", "a whole number of at least 2"),
    ({**GRID, "sampler": {"name": "grid", **EXPLORE}}, "sampler.explore_fraction", "sampler is grid", "remove it"),
    *(({f"trainer__{k}": 1}, f"trainer.{k}", "is set by the framework", v) for k, v in TRAINER_KEYS_OF_OURS.items()),
]  # fmt: skip


@pytest.mark.parametrize(("values", "key", "complaint", "remedy"), BAD, ids=[f"{k} {c}" for _, k, c, _ in BAD])
def test_a_mistake_is_told_once_with_key_value_and_remedy(
    values: dict[str, Any], key: str, complaint: str, remedy: str
) -> None:
    (problem,) = problems_of(**values)
    assert problem.key == key
    assert complaint in problem.complaint
    assert remedy in problem.remedy


GOOD: dict[str, dict[str, Any]] = {
    "an optional number": {"timeout_s": 10, "max_trial_s": 0.5},
    "no retries": {"max_retries": 0},
    "more workers than cores": {"workers": 64},
    "a fork": {"resume": "fork"},
    "the best rung": {"objective__value": "best"},
    "a grid without n_trials": GRID,
    "a grid with its own size": {**GRID, "n_trials": 9},
    "a grid with replicates": {**GRID, "replicates": 2, "n_trials": 18},
    "levels without a grid": {"search_space__lr__levels": 99},
    "rungs as many as epochs": {"budget__rungs": 3},
    "rungs as many as steps": {"budget": {"unit": "steps", "amount": 5, "rungs": 5}},
    "seconds": {"budget": {"unit": "seconds", "amount": 0.5}},
    "samples": {"budget": {"unit": "samples", "amount": 5000, "rungs": 2}},
    "as many points as trials": {"enqueue": [{"lr": 0.01}, {"batch_size": 16}], "n_trials": 2},
    "no points": {"enqueue": None},
    "memory in one process": {**SERIAL, "storage__url": "memory"},
    "serial with workers auto": {"launcher": {"name": "serial"}},
    "an option of the sampler": {"sampler__n_startup_trials": 3},
    "an option of the pruner": {"pruner__n_startup_trials": 0},
    "no exploration": {"sampler__explore_fraction": 0},
    "much exploration": {"sampler": {"name": "gp", "explore_fraction": 0.99}},
    "a winner on two fresh seeds": {"select": {"name": "race", "estimate_seeds": 2}},
    "no analysis": {"analysis": {"name": "none"}},
    "an analysis of one parameter": {"analysis__params": ["lr"]},
    "an analysis of a categorical": {**GATED, "analysis__params": ["gate", "lr"]},
    "two laws": {"analysis__law": [LAW, LAW[::-1]]},
    "no law": {"analysis__law": []},
    "a first rung within the trial": {"pruner": {"name": "hyperband", "min_resource": 3}},
    "gp with a pruner": {"sampler": {"name": "gp"}},
    "a threshold with one bound": {"pruner": {"name": "threshold", "lower": 0.2}},
    "threads": {"launcher__threads_per_worker": 2},
    "one chosen device": SERIAL | {"trainer__devices": [1], "trainer__num_nodes": 1, "trainer__strategy": "auto"},
    "several devices a trial": {"launcher__devices_per_trial": 2},
    "a strategy for them": {"launcher__devices_per_trial": 2, "trainer__strategy": "ddp_find_unused_parameters_true"},
    "several workers a device": {"launcher__slots_per_device": 3},
    "an argument of the trainer": {"trainer__limit_train_batches": 0.5},
    "a key of the trainer that is null": {"trainer__max_epochs": None},
    "a callback": {"callbacks": {"stop": {"_target_": "pytorch_lightning.callbacks.Timer"}}},
    "a callback that is switched off": {"callbacks": {"stop": None}},
    "an output folder that does not exist yet": {"output_dir": "outputs/a/b/c"},
}


@pytest.mark.parametrize("values", GOOD.values(), ids=GOOD.keys())
def test_what_is_right_is_accepted(values: dict[str, Any]) -> None:
    assert read(**values).study_name == "digits"


def test_all_mistakes_are_told_in_one_message() -> None:
    found = problems_of(
        n_trails=1,
        n_trials=None,
        budget__unit="epoch",
        search_space__lr__low=0,
        sampler__n_startup=1,
        trainer__max_epochs=3,
        storage__url="memory",
        callbacks={"stop": {}},
        enqueue=[{"lrr": 1}],
    )
    assert {problem.key for problem in found} == {
        *("n_trails", "n_trials", "budget.unit", "search_space.lr.low", "sampler.n_startup", "trainer.max_epochs"),
        *("storage.url", "callbacks.stop", "enqueue.0.lrr"),
    }


def test_a_wrong_size_of_a_grid_is_told_beside_other_mistakes() -> None:
    found = problems_of(**GRID | {"n_trials": 8, "trainer__max_epochs": 3})
    assert {problem.key for problem in found} == {"n_trials", "trainer.max_epochs"}


def test_a_size_of_a_grid_is_not_told_where_its_space_is_wrong() -> None:
    found = problems_of(**GRID | {"n_trials": 8, "search_space__lr__low": 0})
    assert {problem.key for problem in found} == {"search_space.lr.low"}


def test_a_sub_config_that_leads_nowhere_is_told_before_anything_breaks() -> None:
    assert "model.optimizer" in {problem.key for problem in problems_of(model__optimizer="${nope}")}


def test_two_keys_that_cannot_be_resolved_are_both_told() -> None:
    found = problems_of(model__label_smoothing="${nope}", datamodule__batch_size="${nope}")
    assert {problem.key for problem in found} == {"model.label_smoothing", "datamodule.batch_size"}


def test_a_key_without_a_value_is_told() -> None:
    assert Problem("study_name", "is missing", "give it a value") in problems_of(study_name="???")


def test_an_enqueued_value_that_is_not_active_is_told() -> None:
    space = {**SPACE, "decay": DECAY}
    (problem,) = problems_of(search_space=space, enqueue=[{"batch_size": 32, "decay": 0.5}])
    assert (problem.key, problem.complaint) == ("enqueue.0.decay", "is not active under the point's other values")
    assert read(search_space=space, enqueue=[{"batch_size": 16, "decay": 0.5}, {"decay": 0.5}]).enqueue == (
        {"batch_size": 16, "decay": 0.5},
        {"decay": 0.5},
    )


def test_an_output_folder_below_a_file_is_told(tmp_path: Path) -> None:
    occupied = tmp_path / "occupied"
    occupied.write_text("a file")
    occupied.chmod(0o755)  # what may be entered and written is not yet a folder
    (problem,) = problems_of(output_dir=str(occupied / "out"))
    assert (problem.key, problem.remedy) == ("output_dir", "name a folder you can write to")
    assert f"{occupied} cannot be written" in problem.complaint
    assert read(output_dir=str(tmp_path / "out" / "deep")).output_dir == tmp_path / "out" / "deep"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_folder_without_permission_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    (problem,) = problems_of(output_dir=str(tmp_path / "out"))
    assert problem.key == "output_dir"


def test_everything_is_read_as_it_is_written() -> None:
    settings = read(
        timeout_s=60,
        seed=7,
        workers=3,
        sampler__n_startup_trials=4,
        objective={"metric": "val/loss", "direction": "minimize", "value": "best", "tolerance": 0.1},
        budget={"unit": "steps", "amount": 100},
        enqueue=[{"lr": 0.01}],
    )
    assert (settings.n_trials, settings.timeout_s, settings.seed, settings.workers) == (12, 60.0, 7, 3)
    assert (settings.sampler.name, settings.sampler.options) == (
        "tpe",
        {"n_startup_trials": 4, "explore_fraction": None},
    )
    assert (settings.objective.metric, settings.objective.value) == ("val/loss", "best")
    assert (settings.objective.tolerance, settings.objective.small) == (0.1, 0.1)
    assert settings.budget == Budget("steps", 100, 10)
    assert settings.enqueue == ({"lr": 0.01},)
    assert settings.space.names == ("lr", "batch_size")
    assert settings.storage.lease_s == 60
    assert not settings.is_designed


def test_without_a_tolerance_a_hundredth_is_small_where_no_trial_tells() -> None:
    objective = read().objective
    assert (objective.tolerance, objective.small) == (None, 0.01)


def test_an_analysis_is_read_as_it_is_written() -> None:
    assert read().analysis == AnalysisSettings("full", None, "auto", None)
    assert read(analysis={"name": "none"}).analysis == AnalysisSettings("none", None, "auto", None)
    wanted = {"name": "full", "params": ["lr"], "value_policy": "common_rung", "law": [LAW]}
    assert read(analysis=wanted).analysis == AnalysisSettings("full", ("lr",), "common_rung", (("lr", "batch_size"),))
    assert read(analysis__law=[]).analysis.law == ()


def test_a_margin_is_a_positive_number_for_a_study_that_compares_values(make_settings: MakeSettings) -> None:
    table = "tables/dropout"
    assert make_settings(study=table).analysis.margin is None
    assert make_settings("analysis.margin=0.02", study=table).analysis.margin == 0.02
    for given in ("0", "-0.1", "small"):
        with pytest.raises(BadInput, match=rf"analysis\.margin is '?{given}'?: give a number"):
            make_settings(f"analysis.margin={given}", study=table)
    for more, study in ((), "digits"), (("search_space.batch_size.role=nuisance",), "digits_grid"):
        with pytest.raises(BadInput, match=r"analysis\.margin is 0\.02, but no table compares"):
            make_settings("analysis.margin=0.02", *more, study=study)


def test_a_config_that_says_nothing_of_analysis_is_analysed_in_full() -> None:
    config = changed()
    del config["analysis"]
    del config["sampler"]["explore_fraction"]
    assert parse_settings(config, checks=CHECKS).analysis == read().analysis


def test_a_parameter_that_cannot_be_read_is_not_called_categorical_too() -> None:
    assert {problem.key for problem in problems_of(search_space__lr__low=0, analysis__law=[LAW])} == {
        "search_space.lr.low"
    }


def test_workers_auto_means_that_the_launcher_decides() -> None:
    assert read(workers="auto").workers is None


def test_each_epoch_is_a_rung() -> None:
    assert read(budget={"unit": "epochs", "amount": 4}).budget == Budget("epochs", 4, 4)


def test_a_grid_counts_its_own_cells() -> None:
    settings = read(**GRID, replicates=2)
    assert settings.is_designed
    assert settings.n_trials == 3 * 3 * 2


def test_the_template_still_follows_its_interpolations() -> None:
    template = read().template
    template.datamodule.image_shape = [1, 4, 4]
    assert template.model.network.input_shape == [1, 4, 4]


@pytest.mark.parametrize("flag", [OmegaConf.set_struct, OmegaConf.set_readonly])
def test_a_config_that_may_not_be_changed_is_read_and_left_as_it_is(flag: Callable[[DictConfig, bool], None]) -> None:
    config = changed(model__seed="${training_seed}", seed=5)
    del config["training_seed"]
    before = OmegaConf.to_yaml(config)
    flag(config, True)
    assert parse_settings(config).template.model.seed == 5
    assert OmegaConf.to_yaml(config) == before
