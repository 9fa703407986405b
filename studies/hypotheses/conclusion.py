"""The conclusion of a hypothesis: the verdict over all its parts, by the rule of the config."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations

from optuna.trial import FrozenTrial

from studies.analysis.levels import MOST_MORE_SEEDS
from studies.analysis.same_runs import distinct
from studies.analysis.values.table import cells_by_value, value_tables
from studies.config.settings import HypothesisSettings, StudySettings
from studies.hypotheses.regret import RegretMatrix, one_fits_all, regret_matrix
from studies.hypotheses.rule import HypothesisTest, NotTestable, Word, contrast, independence, together
from studies.reporting.view import StudyView
from studies.reporting.wording import estimate_text
from studies.search.warm_start import N_BEST, Values, warm_start
from studies.text.quoting import pasted
from studies.text.wording import rounded_up

SAYS: dict[Word, str] = {
    "supported": "supports it",
    "contradicted": "contradicts it",
    "undecided": "leaves it undecided",
}


@dataclass(frozen=True, slots=True)
class PartTrials:
    """The trials of one part."""

    name: str
    settings: StudySettings
    view: StudyView
    is_finished: bool = True  # no slot is left
    recorded: HypothesisSettings | None = None  # the hypothesis and its rule from before the first trial
    same_runs: str = ""  # a note on trials that are the same under different seeds, and so test nothing

    @property
    def trials(self) -> list[FrozenTrial]:
        """The trials that decided its slots. Equal runs count once."""
        return distinct(self.view.candidates)

    @property
    def has_changed(self) -> bool:
        """Whether the rule differs from the one in the config before the first trial."""
        return self.recorded != self.settings.hypothesis


@dataclass(slots=True)
class Conclusion:
    """The results of all parts, each under the name of its part."""

    claim: str
    tests: dict[str, HypothesisTest] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)  # why a part says nothing
    more_seeds: dict[str, int] = field(default_factory=dict)  # beside the present ones, to decide an undecided part
    more_trials: dict[str, int] = field(default_factory=dict)  # likewise
    remedies: dict[str, str] = field(default_factory=dict)  # what would decide an undecided part
    matrices: dict[str, RegretMatrix] = field(default_factory=dict)
    beside: list[str] = field(default_factory=list)  # further findings, which decide nothing
    changed: list[str] = field(default_factory=list)  # parts whose rule was changed after their first trial

    @property
    def word(self) -> Word:
        """The verdict. It is undecided while a part says nothing."""
        return "undecided" if self.missing else together(list(self.tests.values()))

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        after = ", by a rule that was changed after the data were seen" if self.changed else ""
        return " ".join(filter(None, [f"{self.claim}: {self.word} on this task{after}.", self.combined]))

    @property
    def combined(self) -> str:
        """The verdict of each part. Empty for one part."""
        said = {name: SAYS[test.word] for name, test in self.tests.items()}
        said |= dict.fromkeys(self.missing, "says nothing yet")
        each = ", ".join(f"{name} {words}" for name, words in said.items())
        return f"The claim has to hold in every part: {each}." if len(said) > 1 else ""


def conclude(parts: Sequence[PartTrials]) -> Conclusion:
    """Apply each part's rule to its trials."""
    hypotheses = [part.settings.hypothesis for part in parts]
    found = Conclusion(next(hypothesis.claim for hypothesis in hypotheses if hypothesis is not None))
    for part in parts:
        hypothesis = part.settings.hypothesis
        if hypothesis is None or hypothesis.rule == "none":
            continue
        if part.has_changed:
            found.changed.append(part.name or part.settings.study_name)
        if not part.is_finished:
            found.missing[part.name] = f"{len(part.trials)} of {part.settings.n_trials} trainings are finished"
            continue
        if part.same_runs:
            found.missing[part.name] = part.same_runs
            continue
        try:
            test = _test(part, found)
        except NotTestable as error:
            if hypothesis.decides:
                found.missing[part.name] = str(error)
            else:
                found.beside.append(f"Beside it, {part.name}: {error}")
            continue
        if not hypothesis.decides:
            found.beside.append(f"Beside it, {part.name}: {test}")
            continue
        found.tests[part.name] = test
        if test.seeds_needed is not None:
            _add_remedy(part, test.seeds_needed, found)
    return found


def _add_remedy(part: PartTrials, seeds: int, found: Conclusion) -> None:
    """Add what decides an undecided part: `seeds` in all, in another study, for a hypothesis keeps its number."""
    present, n_cells = part.settings.replicates, part.settings.n_trials // part.settings.replicates
    hypothesis = part.settings.hypothesis
    counts_trials = hypothesis is not None and hypothesis.rule == "independence"
    replicates = math.ceil(seeds / n_cells) if counts_trials else seeds
    if replicates - present >= MOST_MORE_SEEDS:
        found.more_seeds[part.name] = MOST_MORE_SEEDS
        found.remedies[part.name] = f"Over {MOST_MORE_SEEDS} more seeds would be needed: the gain is near its boundary."
        return
    replicates = rounded_up(replicates)
    found.more_seeds[part.name] = replicates - present
    found.more_trials[part.name] = (replicates - present) * n_cells
    name = part.settings.study_name
    whole = name.removesuffix(f"_{part.name}") if part.name else name
    another = pasted("study_name", f"{whole}-2")
    found.remedies[part.name] = (
        f"About {replicates} seeds would decide it with a chance of 80 %, if gain and spread stay as they are; a "
        "hypothesis that has begun takes no more of them, so run another study: "
        f"replicates={replicates} {another} ({replicates * n_cells} trainings{' of this part' if part.name else ''})."
    )


def _test(part: PartTrials, found: Conclusion) -> HypothesisTest:
    """Apply the rule of `part`. Raises `NotTestable`."""
    settings, hypothesis = part.settings, part.settings.hypothesis
    assert hypothesis is not None
    maximize = settings.objective.maximize
    if hypothesis.rule == "independence":
        return _independence(part, found, hypothesis.boundary)
    if hypothesis.rule == "one_fits_all":
        names = [parameter.name for parameter in settings.space if parameter.role == "scientific"]
        values = cells_by_value(part.trials, names)
        matrix = regret_matrix(values, seeds=range(settings.replicates), maximize=maximize)
        found.matrices[part.name] = matrix
        if matrix.regret:
            shared = {task: {cell: values[task][cell] for cell in matrix.cells} for task in matrix.tasks}
            found.beside += _warm_starts(shared, part, near=hypothesis.boundary)
        return one_fits_all(matrix, boundary=hypothesis.boundary, metric=settings.objective.metric)
    design = part.view.design
    tables = value_tables(part.trials, design) if design is not None else None
    if tables is None:
        raise NotTestable("no trial of a designed study has a value")
    assert hypothesis.before is not None
    assert hypothesis.after is not None
    return contrast(
        tables.main, before=hypothesis.before, after=hypothesis.after, boundary=hypothesis.boundary, maximize=maximize
    )


def _warm_starts(values: Mapping[str, Values], part: PartTrials, *, near: float) -> Iterator[str]:
    """Yield what a search on each task saves by starting from the best settings of each other task."""
    space, maximize, seed = part.settings.space, part.settings.objective.maximize, part.settings.seed
    for source, target in permutations(values, 2):
        found = warm_start(values, space, source=source, target=target, near=near, maximize=maximize, seed=seed)
        yield (
            f"On {target}, TPE comes within {near:g} of the best after {found.scratch:.1f} trials from scratch and "
            f"{found.warm:.1f} beginning with the {N_BEST} best settings of {source}: "
            f"{estimate_text(found.saved, '.1f')} trials saved (over {found.saved.n} replays on the "
            f"{len(values[target])} cells as they were measured)."
        )


def _independence(part: PartTrials, found: Conclusion, boundary: float) -> HypothesisTest:
    analysis = part.view.analysis
    if analysis.tuning is not None:
        cost = analysis.tuning.cost
        found.beside.append(
            f"Tuning one at a time with {analysis.tuning.n_trials} trials would be expected to end "
            f"{estimate_text(cost)} further from the best {part.settings.objective.metric} than tuning all "
            "together (both simulated on the fitted function)."
        )
    if analysis.anova is None:
        raise NotTestable("the trials form no grid")
    return independence(analysis.anova, boundary=boundary)
