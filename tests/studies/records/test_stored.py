from __future__ import annotations

import math
import warnings
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import create_trial

from studies import schema
from studies.errors import BadInput
from studies.records.shapes import OF_A_STUDY, OF_A_TRIAL
from studies.records.stored import attributes_of, trials_of

UNIT = FloatDistribution(0.0, 1.0)
OURS = {schema.STUDY_FINGERPRINT: "0123456789abcdef", schema.STUDY_SCHEMA: 1}
FREE = {"fingerprint", "versions", "git"}  # whose shape nobody relies on


def study_with(attributes: dict[str, Any], *trials: dict[str, Any]) -> optuna.Study:
    """A study with these attributes, and a trial for each further set of them."""
    study = optuna.create_study(study_name="stored")
    for key, value in attributes.items():
        study.set_user_attr(key, value)
    for each in trials:
        study.add_trial(create_trial(value=1.0, params={"x": 0.5}, distributions={"x": UNIT}, user_attrs=each))
    return study


def categorical(*choices: Any) -> optuna.Study:
    """A study of another tool with one trial a choice."""
    study = optuna.create_study()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Optuna warns of lists, which other storages cannot keep
        space = {"c": CategoricalDistribution(choices)}
        study.add_trials(create_trial(value=0.0, params={"c": c}, distributions=space) for c in choices)
    return study


def test_attributes_of_another_tool_are_not_taken_for_ours() -> None:
    study = study_with({"metric": {"name": "acc"}, "n_trials": 9}, {"rungs": 3, "seconds": 4, "colour": "red"})
    assert attributes_of(study) == {}
    assert [trial.user_attrs for trial in trials_of(study)] == [{"colour": "red"}]
    assert study.trials[0].user_attrs["rungs"] == 3


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"source": "random", "replicate": 2, "seed": 3}, {"source": "random", "replicate": 2}),
        ({"source": "qmc", "replicate": "b"}, {"source": "qmc"}),
        ({"source": "web", "replicate": 2}, {}),
        ({"source": ["tpe"], "replicate": 2}, {}),
        ({"replicate": 2}, {}),
    ],
)
def test_any_tool_may_say_which_sampler_proposed_a_trial(given: dict[str, Any], kept: dict[str, Any]) -> None:
    assert [trial.user_attrs for trial in trials_of(study_with({}, given))] == [kept]


@pytest.mark.parametrize(
    ("attributes", "is_ours"),
    [
        (OURS, True),
        ({schema.STUDY_FINGERPRINT: "0123456789abcdef", schema.STUDY_SPACE: "lr: {type: float}"}, True),
        ({schema.STUDY_FINGERPRINT: "0123456789abcdef"}, False),
        ({schema.STUDY_FINGERPRINT: "0123456789abcdef", schema.STUDY_SPACE: "small"}, False),
        ({**OURS, schema.STUDY_FINGERPRINT: "mine"}, False),
        ({**OURS, schema.STUDY_FINGERPRINT: 7}, False),
        ({**OURS, schema.STUDY_SCHEMA: True}, False),
        ({schema.STUDY_SCHEMA: 1}, False),
    ],
)
def test_a_study_is_ours_by_its_fingerprint_and_its_version(attributes: dict[str, Any], is_ours: bool) -> None:
    assert schema.is_ours(attributes) is is_ours


def test_a_round_of_a_selection_is_one_of_ours_only() -> None:
    select = {schema.STUDY_SELECT: {"of": "search", "stage": "race", "trials": [0]}}
    assert schema.searched_study({**OURS, **select}) == "search"
    assert schema.searched_study(select) is None


def test_every_attribute_of_the_schema_has_a_shape() -> None:
    names = {value for name, value in vars(schema).items() if name.isupper() and isinstance(value, str)}
    assert names - {schema.INTERRUPTED} == {*OF_A_STUDY, *OF_A_TRIAL, *FREE}


HALF = {"batch_size": 8, "accumulate_grad_batches": 2}
HYPOTHESIS = {"claim": "c", "rule": "none", "of": None, "before": None, "after": None, "boundary": 0.0}
PATHS = "paths: [m.x], role: nuisance"
OF_A_RANGE = (
    *("when: null", "when: {y: 3}", "when: {y: [[1]]}", "choices: null", "levels: null", "levels: [[1]]"),
    *("step: a", "step: 0", "step: -1", "step: .nan", "step: 1e-300, high: 1", "step: 0.5, low: 1, high: 2, log: true"),
    *("log: 1", "log: true", "low: .inf", "low: 2, high: 1", "low: null"),
)
DAMAGE: list[tuple[str, Any]] = [
    *(("config", "a: ["), ("space", "[1, 2]"), ("space", "x: 3"), ("space", "x: {paths: m.x, type: float}")),
    *(("metric", "acc"), ("metric", {"name": 3}), ("budget", 3), ("budget", {"unit": "epochs", "amount": "9"})),
    *(("n_trials", "ten"), ("n_trials", -1), ("n_trials", True), ("select", ["x"]), ("identity", "{"), ("search", 3)),
    *(("imported", {"study": "s", "trials": 2}), ("schema", "one"), ("hypothesis", "larger is better")),
    *(
        ("config", "a: 2020-13-45"),
        ("config", "[" * 5000),
        ("config", f"a: {'1' * 6000}"),
        ("config", "datamodule: abc"),
    ),
    *(
        ("identity", "[" * 100_000),
        ("search", {"foo": 1}),
        ("hypothesis", {"foo": 1}),
        ("hypothesis", {**HYPOTHESIS, "rule": "x"}),
    ),
    *(("select", {"of": "s", "stage": "estimate", "trials": []}), ("select", {"of": "s", "stage": "x", "trials": [1]})),
    *(("space", f"x: {{{PATHS}, type: float, {damage}}}") for damage in OF_A_RANGE),
    *(("space", f"x: {{{PATHS}, type: {kind}}}") for kind in ("power_of_two", "int, low: 0.5, high: 2", "[float]")),
    ("space", "x: {paths: [], type: float, role: nuisance}"),
    ("space", f"3: {{{PATHS}, type: float}}"),
]


@pytest.mark.parametrize(("key", "value"), DAMAGE)
def test_a_damaged_attribute_of_a_study_is_told_with_its_value(key: str, value: Any) -> None:
    study = study_with({**OURS, "space": "x: {paths: [m.x], type: float, role: nuisance}", key: value}, {})
    if key == "space":
        study.set_user_attr(schema.STUDY_SCHEMA, 1)
    with pytest.raises(BadInput) as raised:
        trials_of(study)
    (problem,) = raised.value.problems
    assert f"is stored, which the storage holds damaged: {key} is {repr(value)[:60]}" in problem.complaint


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("rungs", 3), ("rungs", [[1]]), ("attempt", "first"), ("failure", {"code": 1}), ("failure", "tired")),
        *(("source", ["tpe"]), ("retry_of", [1]), ("retry_of", 1), ("samples_seen", ["x"]), ("replicate", None)),
        *(
            ("void", "yes"),
            ("checkpoint", "last.ckpt"),
            ("batch_halved", {"batch_size": 8}),
            ("batch_halved", {**HALF, "x": 1}),
            ("test", {"acc": "x"}),
        ),
        *(
            ("imported_from", {"study": "s"}),
            ("imported_from", {"trial": 3}),
            ("convergence", "soon"),
            ("seconds", "9 s"),
            ("lease", -1),
        ),
    ],
)
def test_a_damaged_attribute_of_a_trial_is_told_with_its_number(key: str, value: Any) -> None:
    study = study_with(OURS, {}, {key: value}, {"slot": "none"})
    with pytest.raises(BadInput) as raised:
        trials_of(study)
    (problem,) = raised.value.problems
    assert f"damaged: of trial 1, {key} is {value!r}, no " in problem.complaint
    assert problem.complaint.endswith(", and 1 more of this kind")


def test_choices_that_are_lists_or_mappings_stand_under_their_text() -> None:
    found = trials_of(categorical([64], [64, 64], {"type": "adam"}))
    assert [trial.params["c"] for trial in found] == ["[64]", "[64, 64]", "{'type': 'adam'}"]
    assert {trial.distributions["c"] for trial in found} == {
        CategoricalDistribution(("[64]", "[64, 64]", "{'type': 'adam'}"))
    }


@pytest.mark.parametrize(
    ("choices", "texts"),
    [
        ((False, 0, True, 1), ["False", "0", "True", "1"]),
        ((1, 1.0, "1"), ["1", "1.0", "'1'"]),
        ((None, "None", "none"), ["None", "'None'", "none"]),
        ((16, math.nan), ["16", "nan"]),
        (("'1'", "1", 1), ["\"'1'\"", "'1'", "1"]),
    ],
)
def test_choices_that_are_equal_or_look_alike_are_told_apart(choices: tuple[Any, ...], texts: list[str]) -> None:
    assert [trial.params["c"] for trial in trials_of(categorical(*choices))] == texts


@pytest.mark.parametrize("choices", [(16, 32, 64), (1e-3, 1e-2), ("a", "b"), (True, False, None)])
def test_plain_choices_stay_what_they_are(choices: tuple[Any, ...]) -> None:
    assert [trial.params["c"] for trial in trials_of(categorical(*choices))] == list(choices)


def test_a_parameter_may_be_categorical_in_some_trials_only() -> None:
    study = categorical([64], [64, 64])
    study.add_trial(create_trial(value=0.0, params={"c": 0.5}, distributions={"c": UNIT}, user_attrs={"slot": 1}))
    assert [trial.params["c"] for trial in trials_of(study)] == ["[64]", "[64, 64]", 0.5]
    assert trials_of(study)[2].distributions == {"c": UNIT}


def odd_trial(study: optuna.Study, **changes: Any) -> None:
    """Add a complete trial, some of which is as no Optuna would have it."""
    study.add_trial(create_trial(value=1.0))
    trial = study.get_trials(deepcopy=False)[-1]
    for name, value in changes.items():
        setattr(trial, name, value)


ODD: list[tuple[dict[str, Any], str]] = [
    ({"values": None}, "values is None, no list of 1 numbers"),
    ({"values": [1.0, 2.0, 3.0]}, "values is [1.0, 2.0, 3.0], no list of 1 numbers"),
    ({"values": [math.nan]}, "values is [nan], no list of 1 numbers"),
    ({"system_attrs": {"constraints": 3}}, "a constraint is no number"),
    ({"system_attrs": {"constraints": ["a"]}}, "a constraint is no number"),
    ({"system_attrs": {"constraints:memory": None}}, "a constraint is no number"),
    ({"user_attrs": {"steps": 10**400}}, f"steps is {str(10**400)[:60]} …, no number"),
]


@pytest.mark.parametrize(("changes", "told"), ODD)
def test_values_and_constraints_that_are_no_numbers_are_told_of_ours(changes: dict[str, Any], told: str) -> None:
    study = study_with(OURS)
    odd_trial(study, **changes)
    with pytest.raises(BadInput) as raised:
        trials_of(study)
    assert f"damaged: of trial 0, {told}" in raised.value.problems[0].complaint


@pytest.mark.parametrize(("changes", "told"), ODD)
def test_those_of_another_tool_are_dropped(changes: dict[str, Any], told: str) -> None:
    study = study_with({})
    odd_trial(study, **changes)
    (trial,) = trials_of(study)
    assert trial.values == (None if "values" in changes else [1.0])
    assert trial.constraints == {}
    assert trial.user_attrs == {}
