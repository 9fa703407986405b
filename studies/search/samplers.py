"""Samplers: one Optuna sampler for a study, whatever word names it.

Designs (grid, random, qmc) and enqueued points follow from the trial's slot; the model-based ones (Optuna's TPE, GP and
CMA-ES, our reinforce) are begun anew for each trial with a seed of its own, so that they need no memory but the
storage. Beginning anew costs the GP its warm start, some milliseconds a trial. Among their trials are quasi-random
ones, which follow from the slot too (`studies.search.exploration`); no model is asked there.
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
from studies.config.settings import StudySettings
from studies.config.space import Point
from studies.errors import Problems, nearest
from studies.schema import is_imported
from studies.search.designs import DESIGNS, MAX_SOBOL_DIMENSIONS, Design, missing_value, redraw
from studies.search.exploration import (
    EXPLORE,
    OPTION,
    check_exploration,
    exploration_notes,
    explore_design,
    is_exploring,
)
from studies.search.options import check_kinds
from studies.search.reinforce import NAME as REINFORCE
from studies.search.reinforce import Memory, ReinforceSampler, check_options
from studies.search.seeds import redraw_seed, sampler_seed
from studies.storage.ledger import Ranks

MODELS: Mapping[str, Callable[..., BaseSampler]] = {
    "tpe": optuna.samplers.TPESampler,
    "gp": optuna.samplers.GPSampler,
    "cmaes": optuna.samplers.CmaEsSampler,
    REINFORCE: ReinforceSampler,
}
FOR_TWO_OBJECTIVES = ("tpe", "gp", *DESIGNS)
BY_NUMBER = ("cmaes", REINFORCE)  # their draws follow from the trial's number too
OURS = (
    *("seed", "multivariate", "group", "constraints_func", "independent_sampler", "warn_independent_sampling"),
    *("space", "memory", "is_own"),
    *("gamma", "weights", "source_trials"),  # functions and trials, which no config can hold
)


def make_sampler(settings: StudySettings) -> StudySampler:
    """The sampler of a study."""
    return StudySampler(settings)


def check_sampler(settings: StudySettings, problems: Problems) -> None:
    """Note options that the sampler does not have, and spaces that it cannot search."""
    name, options = settings.sampler.name, settings.sampler.options
    parameters = {} if name in DESIGNS else dict(inspect.signature(MODELS[name]).parameters)
    known = [option for option in parameters if option not in OURS]
    check_exploration(settings, problems)
    for option, value in options.items():
        if option == OPTION:
            continue
        if option not in known:
            problems.add(
                f"sampler.{option}", f"is not an option of {name}", nearest(option, [*known, OPTION] if known else [])
            )
        elif name != REINFORCE and _is_number(parameters[option].default) and not (is_number(value) and value >= 0):
            problems.add(f"sampler.{option}", f"is {shown(value)}", "give a number of at least 0")
        elif name != REINFORCE:
            check_kinds("sampler", {option: value}, parameters, problems)
    _try_model(settings, problems)
    if name == REINFORCE:
        check_options({option: value for option, value in options.items() if option in known}, problems)
    if settings.objective.second is not None and name not in FOR_TWO_OBJECTIVES:
        remedy = f"use one of {', '.join(FOR_TWO_OBJECTIVES)}, or give objective.second=null"
        problems.add("sampler", f"is {name}, which knows one objective only, and there are two", remedy)
    if name == "qmc" and len(settings.space) > MAX_SOBOL_DIMENSIONS:
        problems.add("sampler", f"is qmc for {len(settings.space)} parameters", "use random")


def _try_model(settings: StudySettings, problems: Problems) -> None:
    """Note options that the sampler itself refuses, where none has been noted yet."""
    name, options = settings.sampler.name, settings.sampler.options
    if name in DESIGNS or name == REINFORCE or any(problem.key.startswith("sampler") for problem in problems.found):
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            MODELS[name](**{option: value for option, value in options.items() if option != OPTION})
    except (TypeError, ValueError) as error:
        problems.add("sampler", f"is {name}, which refuses its options", str(error))


def sampler_notes(settings: StudySettings) -> list[str]:
    """What the sampler will and will not do with this study, which a person should know before it runs."""
    name = settings.sampler.name
    notes = exploration_notes(settings)
    if name not in ("gp", "cmaes"):
        return notes
    if settings.pruner.name != "none":
        notes.append(
            f"{name} learns from completed trials only, so what {settings.pruner.name} prunes teaches it nothing"
        )
    conditional = [parameter.name for parameter in settings.space if parameter.when]
    categorical = [parameter.name for parameter in settings.space if parameter.type == "categorical"]
    at_random = list(dict.fromkeys([*conditional, *(categorical if name == "cmaes" else [])]))
    if at_random:
        notes.append(
            f"{name} draws {', '.join(at_random)} at random: it searches numeric parameters without conditions"
        )
    return notes


class StudySampler(BaseSampler):
    """Gives each trial the point that its slot has, or what a model of the finished trials proposes."""

    def __init__(self, settings: StudySettings) -> None:
        self._settings = settings
        make_design = DESIGNS.get(settings.sampler.name)
        self._design = make_design(settings) if make_design else None
        self._explore = explore_design(settings)
        self._ranks = Ranks()
        self._trials: Sequence[FrozenTrial] = ()
        self._model: BaseSampler | None = None
        self._memory = Memory()
        self._fixed: Point = {}

    def source(self, slot: int, *, redrawn: bool = False) -> str:
        """Who proposes the point of `slot`: `enqueued`, `explore`, or the sampler's name."""
        if slot < len(self._settings.enqueue) and not redrawn:
            return "enqueued"
        return EXPLORE if is_exploring(self._settings, slot) else self._settings.sampler.name

    @property
    def trials(self) -> Sequence[FrozenTrial]:
        """The study's trials by number, as they were when one was last asked for, that one included."""
        return self._trials

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Decide what `trial` is: a designed, enqueued or quasi-random point, or one for the model."""
        self._trials = study.get_trials(deepcopy=False)
        self._ranks.read(self._trials)
        slot = self._ranks.slot_of(trial)
        design = self._design_of(slot)
        self._fixed = self._point(slot, trial, design)
        self._model = self._begin_model(self._seed_of(trial, slot)) if design is None else None
        if self._model is not None:
            self._model.before_trial(study, self._seen(trial))

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters that are decided together: the designed ones and the model's."""
        modelled = self._model.infer_relative_search_space(study, trial) if self._model else {}
        return modelled | {name: self._settings.space[name].distribution() for name in self._fixed}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values of these parameters."""
        sampled: dict[str, Any] = {}
        if self._model is not None:
            modelled = self._model.infer_relative_search_space(study, trial)
            sampled = self._model.sample_relative(study, self._seen(trial), modelled)
        return {name: self._settings.space[name].snap(value) for name, value in sampled.items()} | self._fixed

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A value of one parameter that no model covers."""
        if self._model is None:
            return missing_value(self._settings, self._ranks.slot_of(trial), param_name)
        value = self._model.sample_independent(study, self._seen(trial), param_name, param_distribution)
        return self._settings.space[param_name].snap(value)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Let the model keep what it keeps in the storage (CMA-ES does)."""
        if self._model is not None:
            self._model.after_trial(study, self._seen(trial), state, values)

    def _seen(self, trial: FrozenTrial) -> FrozenTrial:
        """`trial` as a model sees it that draws by the number of a trial: numbered by its slot."""
        if self._settings.sampler.name not in BY_NUMBER:
            return trial
        seen = copy.copy(trial)
        seen.number = self._ranks.slot_of(trial)
        return seen

    def _design_of(self, slot: int) -> Design | None:
        """What gives the point of `slot`; None where a model is to be asked."""
        return self._explore if is_exploring(self._settings, slot) else self._design

    def _point(self, slot: int, trial: FrozenTrial, design: Design | None) -> Point:
        """What is known of the trial's point before any model is asked."""
        redrawn = schema.REDRAWN in trial.user_attrs
        enqueued = self._settings.enqueue[slot] if slot < len(self._settings.enqueue) and not redrawn else {}
        if design is None:
            return dict(enqueued)
        drawn = redraw(self._settings, slot, self._n_redrawn(slot)) if redrawn else design(slot)
        return {**drawn, **enqueued}

    def _is_models(self, trial: FrozenTrial) -> bool:
        """Whether the model proposed the point of a stored trial; of one that does not tell, its slot does. What
        another study's model proposed is not its own."""
        if is_imported(trial):
            return False
        redrawn = schema.REDRAWN in trial.user_attrs
        source = trial.user_attrs.get(schema.SOURCE) or self.source(self._ranks.slot_of(trial), redrawn=redrawn)
        return bool(source == self._settings.sampler.name)

    def _seed_of(self, trial: FrozenTrial, slot: int) -> int:
        """The seed of the model that is asked for `trial`: of its slot, however many trials failed before it."""
        if schema.REDRAWN in trial.user_attrs:
            return redraw_seed(self._settings.seed, slot, self._n_redrawn(slot))
        return sampler_seed(self._settings.seed, slot)

    def _n_redrawn(self, slot: int) -> int:
        """How many points of `slot` were drawn in place of failed ones so far."""
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
            options["warn_independent_sampling"] = False  # Optuna would tell it again in each trial
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return MODELS[name](**options)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
