"""Studies of any content: what hypothesis draws, in a storage that refuses nothing.

Optuna checks most of what it is given, but a file may have been edited, or written by a later Optuna. So trials go into
the storage by `create_new_trial`, which takes them as they are.
"""

from __future__ import annotations

import datetime
import json
import math
import warnings
from collections.abc import Mapping
from typing import Any

import yaml
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.records.shapes import OF_A_STUDY, OF_A_TRIAL

SHAPES = {**OF_A_STUDY, **OF_A_TRIAL}
NAMES = sorted({value for name, value in vars(schema).items() if name.isupper() and isinstance(value, str)})
SYSTEM = ("fixed_params", "constraints", "constraints:memory", "grid_id")
BEGIN = datetime.datetime(2024, 1, 1)
ODD = (
    "",
    "a: [",
    "x: &a [*a]",
    "!!python/object/apply:os.getcwd []",
    "{",
    "é\n\x1b[2J\x07",
    "\ud800",
    "-",
    "1e400",
    "x" * 999,
    "[" * 5000,
    "a: 2020-13-45",
    f"a: {'1' * 6000}",
)
TEXTS = st.one_of(st.sampled_from(ODD), st.text(st.characters(), max_size=8))
NUMBERS = st.one_of(
    st.integers(), st.floats(), st.sampled_from((10**400, -(10**400), 2**63, 0, 1, -1, True, False, 1e308, 5e-324))
)
LEAVES = st.one_of(st.none(), NUMBERS, TEXTS)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=5,
)

PLAINER = st.sampled_from((None, True, 0, -1, 3, 0.5, 1e300, math.nan, "", "a", [], ["a"], [[1]], {}, {"a": 1}))

NUMERIC = NUMBERS.filter(lambda value: not isinstance(value, bool))
COUNTS = st.one_of(st.integers(0, 9), st.integers(0))
SHAPED: Mapping[str, st.SearchStrategy[Any]] = {  # by the words of a shape
    "whole number from 0 on": COUNTS,
    "text": TEXTS,
    "number": NUMERIC,
    "truth value": st.booleans(),
    "kind of failure": st.sampled_from([str(failure) for failure in schema.Failure]),
    "list of numbers": st.lists(NUMERIC, max_size=3),
    "list of pairs of a rung and its value": st.lists(st.tuples(COUNTS, NUMERIC).map(list), max_size=3),
    "mapping": st.dictionaries(TEXTS, JSON, max_size=3),
    "mapping of numbers": st.dictionaries(TEXTS, NUMERIC, max_size=3),
}
TIDY = sorted(name for name, (_, words) in SHAPES.items() if words in SHAPED)


def storages(
    *,
    valid: Mapping[str, Any],
    of_trials: Mapping[str, Any],
    space: Mapping[str, BaseDistribution] | None = None,
    is_tidy: bool = False,
) -> st.SearchStrategy[BaseStorage]:
    """Storages of one study, whose attributes are like `valid`, and those of whose trials `of_trials`, or none at all.

    The parameters are those of `space`, or any. Where they are tidy, all has the shape that it should have.
    """
    directions = st.lists(st.sampled_from(list(StudyDirection)), min_size=1, max_size=3)
    return st.builds(
        _storage,
        TEXTS if space is None else st.just("bowl"),
        directions if space is None else st.just([StudyDirection.MINIMIZE]),
        _attributes(valid, is_tidy=is_tidy),
        st.lists(_trials(of_trials, space, is_tidy=is_tidy), max_size=12),
    )


def edited(valid: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Attributes of which somebody has edited one, somewhere inside (also of a text in YAML or JSON), or removed it."""
    return st.sampled_from(sorted(valid)).flatmap(
        lambda name: st.one_of(
            _edit(valid[name]).map(lambda value: {**valid, name: value}),
            st.just({key: value for key, value in valid.items() if key != name}),
        )
    )


def _edit(value: Any) -> st.SearchStrategy[Any]:
    if isinstance(value, dict) and value:
        inside = st.sampled_from(sorted(value)).flatmap(
            lambda key: st.one_of(
                st.just({k: v for k, v in value.items() if k != key}),
                _edit(value[key]).map(lambda v: {**value, key: v}),
            )
        )
        return st.one_of(inside, inside, PLAINER.map(lambda more: {**value, "more": more}), PLAINER)
    if isinstance(value, list) and value:
        return st.one_of(_edit(value[0]).map(lambda first: [first, *value[1:]]), st.just([]), PLAINER)
    if isinstance(value, str) and value.startswith("{"):
        return st.one_of(_edit(json.loads(value)).map(json.dumps), TEXTS)
    if isinstance(value, str) and "\n" in value:
        return st.one_of(_edit(yaml.safe_load(value)).map(yaml.safe_dump), TEXTS)
    return PLAINER


def _attributes(valid: Mapping[str, Any], *, is_tidy: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Those of `valid`, less some, with some replaced or added: any name of the schema, or of another tool."""
    names = st.sampled_from(TIDY) if is_tidy else st.one_of(st.sampled_from(NAMES), TEXTS)
    pairs = names.flatmap(lambda name: st.tuples(st.just(name), _content(name, is_tidy=is_tidy)))
    dropped = st.sets(st.sampled_from(sorted(valid)), max_size=2) if valid else st.just(set())
    return st.builds(
        lambda lost, changed: {key: value for key, value in {**valid, **dict(changed)}.items() if key not in lost},
        dropped if not is_tidy else st.just(set()),
        st.lists(pairs, max_size=3),
    )


def _content(name: str, *, is_tidy: bool) -> st.SearchStrategy[Any]:
    """Of the attribute `name`: of its shape, or anything."""
    words = SHAPES.get(name, (None, ""))[1]
    return SHAPED[words] if is_tidy else st.one_of(JSON, SHAPED.get(words, JSON))


def _storage(
    name: str, directions: list[StudyDirection], attributes: Mapping[str, Any], trials: list[FrozenTrial]
) -> BaseStorage:
    storage = InMemoryStorage()
    study_id = storage.create_new_study(directions, name)
    for key, value in attributes.items():
        storage.set_study_user_attr(study_id, key, value)
    for trial in trials:
        state, trial.state = trial.state, TrialState.FAIL  # of which it expects nothing
        number = storage.get_trial(storage.create_new_trial(study_id, template_trial=trial)).number
        storage.get_all_trials(study_id, deepcopy=False)[number].state = state
    return storage


def _trials(
    of_trials: Mapping[str, Any], space: Mapping[str, BaseDistribution] | None, *, is_tidy: bool
) -> st.SearchStrategy[FrozenTrial]:
    points = _points(space) if space is not None else st.dictionaries(TEXTS, _parameters(), max_size=3)
    one_value = st.lists(st.floats(allow_nan=False), min_size=1, max_size=1)
    values = one_value if is_tidy else st.one_of(st.none(), one_value, st.lists(st.floats(), max_size=3))
    steps = st.integers(-1, 4) if is_tidy else st.integers(-(2**62), 2**62)
    system = st.dictionaries(st.one_of(st.sampled_from(SYSTEM), TEXTS), JSON, max_size=2)
    times = st.sampled_from((None, BEGIN, BEGIN + datetime.timedelta(seconds=5)))
    return st.builds(
        lambda state, point, values, reports, attributes, system, start, end: FrozenTrial(
            number=-1,
            trial_id=-1,
            state=state,
            value=None,
            values=values if state == TrialState.COMPLETE or not is_tidy else None,
            datetime_start=start,
            datetime_complete=end,
            params={key: value for key, (value, _) in point.items()},
            distributions={key: one for key, (_, one) in point.items()},
            user_attrs=attributes,
            system_attrs=system,
            intermediate_values=reports,
        ),
        st.sampled_from(list(TrialState)),
        points,
        values,
        st.dictionaries(steps, st.floats(), max_size=3),
        st.one_of(_attributes(of_trials, is_tidy=is_tidy), st.just({})),
        system if not is_tidy else st.just({}),
        times,
        times,
    )


def _points(space: Mapping[str, BaseDistribution]) -> st.SearchStrategy[dict[str, tuple[Any, BaseDistribution]]]:
    return st.fixed_dictionaries(
        {name: st.tuples(st.floats(-5, 5), st.just(one)) for name, one in space.items()}
    ) | st.dictionaries(st.sampled_from((*space, "other")), _parameters(), max_size=2)


def _parameters() -> st.SearchStrategy[tuple[Any, BaseDistribution]]:
    """A value of a parameter, with its distribution; some lie outside of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Optuna warns of lists, which other storages cannot keep
        choices = [
            CategoricalDistribution(("a", "b", "c")),
            CategoricalDistribution((None, True, 1, 1.0, "1", "\x1b[31m")),
            CategoricalDistribution(([64], [64, 64])),  # type: ignore[arg-type]
            CategoricalDistribution(({"a": [1]}, None)),  # type: ignore[arg-type]
        ]
    categories = st.sampled_from(choices).flatmap(lambda one: st.tuples(st.sampled_from(one.choices), st.just(one)))
    numbers = (
        FloatDistribution(0.0, 1.0),
        FloatDistribution(1e-300, 1e300, log=True),
        FloatDistribution(-1e308, 1e308),
        FloatDistribution(-1.0, 1.0, step=0.25),
        IntDistribution(1, 1024, log=True),
        IntDistribution(-(10**30), 10**30),
    )
    return st.one_of(categories, st.sampled_from(numbers).flatmap(_number))


def _number(one: FloatDistribution | IntDistribution) -> st.SearchStrategy[tuple[Any, BaseDistribution]]:
    inside = (
        st.integers(int(one.low), int(one.high)) if isinstance(one, IntDistribution) else st.floats(one.low, one.high)
    )
    outside = st.just(2 * one.high + 1)
    return st.tuples(st.one_of(inside, inside, outside), st.just(one))
