"""Samplers: one Optuna sampler for a study, whatever word names it.

Designs (grid, random, qmc) and enqueued points follow from the trial's slot. The model-based samplers are Optuna's TPE,
GP and CMA-ES, and our reinforce. Each trial begins them anew with its own seed, so the storage is their only memory.
That costs the GP its warm start, some milliseconds a trial. Some of their trials are quasi-random and ask no model
(`studies.search.exploration`).
"""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.config.parsing.limits import shown
from studies.config.parsing.section import is_number
from studies.config.settings import Named, ObjectiveSettings, StudySettings
from studies.config.space import Point, SearchSpace
from studies.errors import Problems, nearest
from studies.schema import is_imported
from studies.search.designs import DESIGNS, MAX_SOBOL_DIMENSIONS, Design, make_design, missing_value, redraw
from studies.search.exploration import EXPLORE, OPTION, check_exploration, exploration_of
from studies.search.options import check_kinds
from studies.search.reinforce import NAME as REINFORCE
from studies.search.reinforce import Memory, ReinforceSampler, check_options
from studies.search.seeds import redraw_seed, sampler_seed
from studies.storage.slots import Chains

MODELS: Mapping[str, Callable[..., BaseSampler]] = {
    "tpe": optuna.samplers.TPESampler,
    "gp": optuna.samplers.GPSampler,
    "cmaes": optuna.samplers.CmaEsSampler,
    REINFORCE: ReinforceSampler,
}
FOR_TWO_OBJECTIVES = ("tpe", "gp", *DESIGNS)
BY_NUMBER = ("cmaes", REINFORCE)  # their draws depend on the trial's number too
OURS = (
    *("seed", "multivariate", "group", "constraints_func", "independent_sampler", "warn_independent_sampling"),
    *("space", "memory", "is_own"),
    *("gamma", "weights", "source_trials"),  # functions and trials: no config can hold them
)


def check_sampler(sampler: Named, objective: ObjectiveSettings, space: SearchSpace, problems: Problems) -> None:
    """Note unknown options of the sampler, and spaces that it cannot search."""
    name, options = sampler.name, sampler.options
    parameters = {} if name in DESIGNS else dict(inspect.signature(MODELS[name]).parameters)
    known = [option for option in parameters if option not in OURS]
    check_exploration(sampler, problems)
    for option, value in options.items():
        if option == OPTION:
            continue
        if option not in known:
            problems.add(
                f"sampler.{option}", f"is not an option of {name}", nearest(option, [*known, OPTION] if known else [])
            )
        elif name != REINFORCE and is_number(parameters[option].default) and not (is_number(value) and value >= 0):
            problems.add(f"sampler.{option}", f"is {shown(value)}", "give a number of at least 0")
        elif name != REINFORCE:
            check_kinds("sampler", {option: value}, parameters, problems)
    _try_model(sampler, problems)
    if name == REINFORCE:
        check_options({option: value for option, value in options.items() if option in known}, problems)
    if objective.second is not None and name not in FOR_TWO_OBJECTIVES:
        remedy = f"use one of {', '.join(FOR_TWO_OBJECTIVES)}, or give objective.second=null"
        problems.add("sampler", f"is {name}, which knows one objective only, and there are two", remedy)
    if name == "qmc" and len(space) > MAX_SOBOL_DIMENSIONS:
        problems.add("sampler", f"is qmc for {len(space)} parameters", "use random")


def _try_model(sampler: Named, problems: Problems) -> None:
    """Note options that the sampler itself refuses, if it has no other problem."""
    name, options = sampler.name, sampler.options
    if name in DESIGNS or name == REINFORCE or any(problem.key.startswith("sampler") for problem in problems.found):
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            MODELS[name](**{option: value for option, value in options.items() if option != OPTION})
    except (TypeError, ValueError) as error:
        problems.add("sampler", f"is {name}, which refuses its options", str(error))


def sampler_notes(name: str, pruner: str, space: SearchSpace) -> list[str]:
    """Tell before a study runs what the sampler `name` will not do with it."""
    if name not in ("gp", "cmaes"):
        return []
    notes = []
    if pruner != "none":
        notes.append(f"{name} learns from completed trials only, so what {pruner} prunes teaches it nothing")
    conditional = [parameter.name for parameter in space if parameter.when]
    categorical = [parameter.name for parameter in space if parameter.type == "categorical"]
    at_random = list(dict.fromkeys([*conditional, *(categorical if name == "cmaes" else [])]))
    if at_random:
        notes.append(
            f"{name} draws {', '.join(at_random)} at random: it searches numeric parameters without conditions"
        )
    return notes


class StudySampler(BaseSampler):
    """The sampler of a study: a trial takes the point of its slot, or what a model of the finished trials proposes."""

    def __init__(self, settings: StudySettings) -> None:
        self._settings = settings
        self._design = make_design(settings)
        self._exploration = exploration_of(settings)
        self._chains = Chains(settings.n_trials)
        self._trials: Sequence[FrozenTrial] = ()
        self._model: BaseSampler | None = None
        self._memory = Memory()
        self._fixed: Point = {}

    def source(self, slot: int, *, redrawn: bool = False) -> str:
        """Return who proposes the point of `slot`: `enqueued`, `explore`, or the sampler's name."""
        if slot < len(self._settings.enqueue) and not redrawn:
            return "enqueued"
        return EXPLORE if self._exploration.takes(slot) else self._settings.sampler.name

    @property
    def trials(self) -> Sequence[FrozenTrial]:
        """The study's trials by number, as last read: with the trial that was asked for then."""
        return self._trials

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Decide where the point of `trial` comes from: the design, an enqueued or quasi-random point, or the model."""
        self._trials = study.get_trials(deepcopy=False)
        self._chains.read(self._trials)
        slot = self._chains.slot_of(trial)
        design = self._exploration.point if self._exploration.takes(slot) else self._design  # None: a model is asked
        self._fixed = self._point(slot, trial, design)
        self._model = self._begin_model(self._seed_of(trial, slot)) if design is None else None
        if self._model is not None:
            self._model.before_trial(study, self._seen(trial))

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the parameters that are decided together: the designed ones and the model's."""
        modelled = self._model.infer_relative_search_space(study, trial) if self._model else {}
        return modelled | {name: self._settings.space[name].distribution() for name in self._fixed}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return values of these parameters."""
        sampled: dict[str, Any] = {}
        if self._model is not None:
            modelled = self._model.infer_relative_search_space(study, trial)
            sampled = self._model.sample_relative(study, self._seen(trial), modelled)
        return {name: self._settings.space[name].snap(value) for name, value in sampled.items()} | self._fixed

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a value of one parameter that is not decided with the others."""
        if self._model is None:
            return missing_value(
                self._settings.space, param_name, seed=self._settings.seed, slot=self._chains.slot_of(trial)
            )
        value = self._model.sample_independent(study, self._seen(trial), param_name, param_distribution)
        return self._settings.space[param_name].snap(value)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Let the model write what it keeps in the storage (CMA-ES does)."""
        if self._model is not None:
            self._model.after_trial(study, self._seen(trial), state, values)

    def _seen(self, trial: FrozenTrial) -> FrozenTrial:
        """Return `trial` numbered by its slot, for models that draw by the number of a trial."""
        if self._settings.sampler.name not in BY_NUMBER:
            return trial
        seen = copy.copy(trial)
        seen.number = self._chains.slot_of(trial)
        return seen

    def _point(self, slot: int, trial: FrozenTrial, design: Design | None) -> Point:
        """Return what is known of the trial's point before any model is asked."""
        redrawn = schema.REDRAWN in trial.user_attrs
        enqueued = self._settings.enqueue[slot] if slot < len(self._settings.enqueue) and not redrawn else {}
        if design is None:
            return dict(enqueued)
        if redrawn:
            space, seed = self._settings.space, self._settings.seed
            return redraw(space, seed=seed, slot=slot, n_before=self._n_redrawn(slot))
        return {**design(slot), **enqueued}

    def _is_models(self, trial: FrozenTrial) -> bool:
        """Return whether the model proposed the point of a stored trial. Imported trials came from another model.

        Where the trial does not record its source, its slot tells it.
        """
        if is_imported(trial):
            return False
        redrawn = schema.REDRAWN in trial.user_attrs
        source = trial.user_attrs.get(schema.SOURCE) or self.source(self._chains.slot_of(trial), redrawn=redrawn)
        return bool(source == self._settings.sampler.name)

    def _seed_of(self, trial: FrozenTrial, slot: int) -> int:
        """Return the seed of the model for `trial`. It is the seed of the slot, however many trials failed before."""
        if schema.REDRAWN in trial.user_attrs:
            return redraw_seed(self._settings.seed, slot, self._n_redrawn(slot))
        return sampler_seed(self._settings.seed, slot)

    def _n_redrawn(self, slot: int) -> int:
        """Return how many points of `slot` have replaced failed ones so far."""
        drawn = [t for t in self._trials if schema.REDRAWN in t.user_attrs and t.params]
        return sum(trial.user_attrs.get(schema.SLOT) == slot for trial in drawn)

    def _begin_model(self, seed: int) -> BaseSampler:
        name, options = self._settings.sampler.name, dict(self._settings.sampler.options)
        options.pop(OPTION, None)
        options["seed"] = seed
        if name == "tpe":
            options |= {"multivariate": True, "group": self._settings.space.is_conditional}
        if name == REINFORCE:
            options |= {"space": self._settings.space, "memory": self._memory, "is_own": self._is_models}
        if name in ("gp", "cmaes"):
            options["warn_independent_sampling"] = False  # else Optuna warns in each trial
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return MODELS[name](**options)
