"""No number of a config is beyond all reason: each is refused at once, by its key, with the limit."""

from __future__ import annotations

import inspect
import math
from typing import Any

import optuna
import pytest
from written import GRID, SERIAL, problems_of, read

from studies.config.parsing.limits import MOST_CELLS, MOST_VALUES, shown
from studies.errors import Problems
from studies.search.designs import grid_design
from studies.search.options import check_kinds

SLURM = {
    **dict.fromkeys(("timeout_min", "grace_s", "cpus_per_task", "devices_per_trial"), 1),
    **{"gpus_per_task": 0, "name": "slurm"},
}
TOO_LARGE: list[tuple[dict[str, Any], str, str]] = [
    ({"n_trials": 10**12}, "n_trials", "at most 1000000"),
    ({"workers": 10**6}, "workers", "at most 10000"),
    ({"timeout_s": 1e300}, "timeout_s", "at most 1e+09"),
    ({"seed": 1e23}, "seed", "at most 4294967295"),
    ({"max_trial_s": 1e10}, "max_trial_s", "at most 1e+09"),
    ({"device_seconds": 1e10}, "device_seconds", "at most 1e+09"),
    ({"stop_at": 1e101}, "stop_at", "at most 1e+100"),
    ({"max_retries": 10**9}, "max_retries", "at most 1000000"),
    ({"max_failures": 10**9}, "max_failures", "at most 1000000"),
    ({"budget__amount": 10**9}, "budget.amount", "at most 1000000"),
    ({"budget": {"unit": "steps", "amount": 10**9, "rungs": 10**8}}, "budget.rungs", "at most 1000000"),
    ({"budget": {"unit": "samples", "amount": 10**30}}, "budget.amount", "at most 9007199254740992"),
    ({"checkpoint__keep_best": 10**9}, "checkpoint.keep_best", "at most 1000000"),
    ({"checkpoint__every_s": 1e10}, "checkpoint.every_s", "at most 1e+09"),
    ({"check__max_s": 1e10}, "check.max_s", "at most 1e+09"),
    ({"storage__lease_s": 1e300}, "storage.lease_s", "at most 1e+09"),
    ({"storage__patience_s": 1e300}, "storage.patience_s", "at most 1e+09"),
    ({"objective__tolerance": 1e300}, "objective.tolerance", "at most 1e+100"),
    ({"launcher__threads_per_worker": 10**9}, "launcher.threads_per_worker", "at most 10000"),
    ({"launcher__slots_per_device": 10**9}, "launcher.slots_per_device", "at most 10000"),
    ({"launcher__devices_per_trial": 10**9}, "launcher.devices_per_trial", "at most 10000"),
    ({"launcher": {**SLURM, "timeout_min": 10**9}, "workers": 1}, "launcher.timeout_min", "at most 527040"),
    ({"launcher": {**SLURM, "mem_gb": 1e9}, "workers": 1}, "launcher.mem_gb", "at most 1e+06"),
    ({"sampler__n_startup_trials": 10**9}, "sampler.n_startup_trials", "at most 1000000"),
    ({"sampler__n_ei_candidates": 10**9}, "sampler.n_ei_candidates", "at most 10000"),
    ({"pruner__interval_steps": 10**9}, "pruner.interval_steps", "at most 1000000"),
    ({"pruner": {"name": "asha", "min_early_stopping_rate": 10**9}}, "pruner.min_early_stopping_rate", "at most 50"),
    ({"select": {"name": "race", "seeds": 10**9}}, "select.seeds", "at most 10000"),
    ({"search_space__lr__high": 1e300}, "search_space.lr.high", "at most 1e+100"),
    ({"search_space__lr__low": 1e-300}, "search_space.lr.low", "at least 1e-100"),
    ({"search_space__batch_size__high": 2**60}, "search_space.batch_size.high", "at most 9007199254740992"),
    ({"search_space__lr__levels": 10**9}, "search_space.lr.levels", "at most 10000 levels"),
]
NOT_FINITE = ("n_trials", "seed", "timeout_s", "stop_at", "workers", "budget__amount", "checkpoint__every_s")
OF_ANOTHER_KIND: list[tuple[dict[str, Any], str, str]] = [
    ({"sampler__constant_liar": 3}, "sampler.constant_liar", "true or false"),
    ({"sampler__n_ei_candidates": 2.5}, "sampler.n_ei_candidates", "a whole number"),
    ({"sampler__prior_weight": "much"}, "sampler.prior_weight", "a number"),
    ({"sampler__gamma": 3}, "sampler.gamma", "use one of"),
    ({"pruner__n_warmup_steps": True}, "pruner.n_warmup_steps", "a whole number"),
    ({"pruner": {"name": "threshold", "upper": math.nan}}, "pruner.upper", "a number"),
    ({"pruner": {"name": "patient", "patience": [1]}}, "pruner.patience", "a whole number"),
    ({"launcher__devices_per_trial": "two"}, "launcher.devices_per_trial", "a whole number of at least 1"),
    ({"datamodule": 3}, "datamodule", "give a mapping"),
    ({"vars": [1]}, "vars", "give a mapping"),
]


@pytest.mark.parametrize(("values", "key", "remedy"), TOO_LARGE, ids=[key for _, key, _ in TOO_LARGE])
def test_a_number_beyond_its_limit_is_refused_with_the_limit(values: dict[str, Any], key: str, remedy: str) -> None:
    (problem,) = problems_of(**values)
    assert problem.key == key
    assert remedy in problem.remedy


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1, True, "3", 10**400, [1]], ids=repr)
@pytest.mark.parametrize("key", NOT_FINITE)
def test_what_is_no_number_of_its_kind_is_refused(key: str, value: Any) -> None:
    if key == "stop_at" and value == -1:
        pytest.skip("a metric may be below 0")
    assert [problem.key for problem in problems_of(**{key: value})] == [key.replace("__", ".")]


@pytest.mark.parametrize(("values", "key", "remedy"), OF_ANOTHER_KIND, ids=[key for _, key, _ in OF_ANOTHER_KIND])
def test_an_option_is_of_the_kind_that_its_class_asks_for(values: dict[str, Any], key: str, remedy: str) -> None:
    (problem,) = [found for found in problems_of(**values) if found.key == key]
    assert remedy in problem.remedy


def test_a_grid_that_nobody_can_make_is_refused_before_it_is_made() -> None:
    levels = {f"search_space__{name}__levels": 1000 for name in ("lr", "momentum", "decay")}
    float_ = {"type": "float", "low": 0.1, "high": 0.9}
    space = {"lr": {"path": "model.optimizer.lr", **float_}, "momentum": {"path": "model.l1", **float_}}
    space["decay"] = {"path": "model.l2", **float_}
    (problem,) = problems_of(**GRID, search_space=space, **levels)
    assert (problem.key, problem.complaint) == ("search_space", f"makes a grid of more than {MOST_CELLS} cells")
    space["gate"] = {"path": "trainer.deterministic", "type": "categorical", "choices": [True, False]}
    space["decay"]["when"] = {"gate": [True]}
    assert "search_space" in {found.key for found in problems_of(**GRID, search_space=space, **levels)}


def test_a_grid_of_more_trials_than_a_study_can_have_is_refused() -> None:
    (problem,) = problems_of(**GRID | {"search_space__lr__levels": 1000}, replicates=1000)
    assert problem.key == "replicates"
    assert problem.complaint == "is 1000, which makes 3000000 trials of 3000 cells"


def test_all_levels_of_a_parameter_are_no_more_than_a_table_holds() -> None:
    whole = {"path": "model.network.width", "type": "int", "low": 1, "high": 10**6, "linear": True, "levels": "all"}
    (problem,) = problems_of(search_space={"width": whole})
    assert (problem.key, problem.complaint) == ("search_space.width.levels", "is all, which are 1000000 values")
    assert len(read(search_space={"width": {**whole, "high": MOST_VALUES}}).space["width"].levels or ()) == MOST_VALUES


@pytest.mark.parametrize("choices", [[math.nan], [math.inf, 1.0], [10**300], list(range(MOST_VALUES + 1))], ids=len)
def test_choices_that_no_storage_gives_back_are_refused(choices: list[Any]) -> None:
    entry = {"path": "model.optimizer.lr", "type": "categorical", "choices": choices}
    assert [found.key for found in problems_of(search_space={"a": entry})] == ["search_space.a.choices"]


def test_the_order_of_a_replicate_is_made_when_it_is_asked_for() -> None:
    settings = read(**GRID, replicates=10_000)
    point = grid_design(settings.space, seed=settings.seed, replicates=settings.replicates)
    cells = [tuple(point(9 * 9_999 + slot).values()) for slot in range(9)]
    assert len(set(cells)) == 9


def test_a_value_is_shown_short_and_even_where_python_refuses_to_write_it() -> None:
    assert shown("x") == "'x'"
    assert len(shown("x" * 10_000)) == 200
    assert shown([16**5000]) == "a number of thousands of digits"


def test_numbers_at_their_limits_are_accepted() -> None:
    settings = read(**SERIAL, seed=2**32 - 1, n_trials=10**6, timeout_s=1e9, search_space__lr__high=1e100)
    assert settings.seed == 2**32 - 1


def test_an_option_that_no_config_can_give_is_to_be_left_out() -> None:
    parameters = inspect.signature(optuna.pruners.PatientPruner).parameters
    check_kinds("pruner", {"wrapped_pruner": "median"}, parameters, problems := Problems())
    (problem,) = problems.found
    assert str(problem) == "pruner.wrapped_pruner is 'median': leave it out: no config can hold what it takes"
