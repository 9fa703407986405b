"""What the studies of a belief say together: the verdict by the rule of the config, as a page, a CSV and figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from optuna.trial import FrozenTrial
from rich.console import Console

from studies.analysis.belief import (
    Finding,
    RegretMatrix,
    Word,
    contrast,
    independence,
    one_fits_all,
    regret_matrix,
    together,
)
from studies.analysis.values.table import cells_by_value, value_tables
from studies.config.settings import BeliefSettings, StudySettings
from studies.reporting.csv_table import Row, write_csv
from studies.reporting.figures.drawing import write_drawing
from studies.reporting.figures.verdict import regret_drawing, verdict_drawing
from studies.reporting.report import analysis_of
from studies.reporting.wording import plain, table
from studies.search.warm_start import N_BEST, Values, warm_start
from studies.storage.identity import fixed_config
from studies.text.printable import write_page
from studies.text.quoting import pasted
from studies.text.wording import NONE

PAGE, TABLE, FIGURES = "belief.md", "belief.csv", ("verdict", "regret", "regret_*")
COLUMNS = ("part", "verdict", "gain", "ci_lo", "ci_hi", "boundary", "unit", "n", "more_trials", "what")

SAYS: dict[Word, str] = {
    "supported": "supports it",
    "contradicted": "contradicts it",
    "undecided": "leaves it undecided",
}
NOT_TOLD = ("_convert_", "_partial_", "data_dir", "eval_batch_size", "fused", "eps")  # of what was held fixed


@dataclass(frozen=True, slots=True)
class Evidence:
    """A part: its settings, the trials that ended its slots, whether these are all, and the rule as recorded when it
    began. `same_runs` tells of trials that their seeds do not tell apart: nothing is concluded from them."""

    name: str
    settings: StudySettings
    trials: Sequence[FrozenTrial]
    is_finished: bool = True
    recorded: BeliefSettings | None = None
    same_runs: str = ""

    @property
    def has_changed(self) -> bool:
        """Whether the rule is not the one that stood in the config before the first trial."""
        return self.recorded != self.settings.belief


@dataclass(slots=True)
class Conclusion:
    """What all parts say. `missing` tells why a part says nothing; `remedies` what would decide an undecided part;
    `beside` are sentences that decide nothing; `changed` names the parts whose rule was changed after their first
    trial."""

    claim: str
    findings: dict[str, Finding] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    more_trials: dict[str, int] = field(default_factory=dict)
    remedies: dict[str, str] = field(default_factory=dict)
    matrices: dict[str, RegretMatrix] = field(default_factory=dict)
    beside: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)

    @property
    def word(self) -> Word:
        """The verdict; undecided while a part says nothing."""
        return "undecided" if self.missing else together(list(self.findings.values()))

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        after = ", by a rule that was changed after the data were seen" if self.changed else ""
        return " ".join(filter(None, [f"{self.claim}: {self.word} on this task{after}.", self.combined]))

    @property
    def combined(self) -> str:
        """How several parts make up the verdict; empty for one."""
        said = {name: SAYS[finding.word] for name, finding in self.findings.items()}
        said |= dict.fromkeys(self.missing, "says nothing yet")
        each = ", ".join(f"{name} {words}" for name, words in said.items())
        return f"The claim has to hold in every part: {each}." if len(said) > 1 else ""


def conclude(parts: Sequence[Evidence], *, console: Console) -> Conclusion:
    """Apply each part's rule to its trials."""
    beliefs = [part.settings.belief for part in parts]
    found = Conclusion(next(belief.claim for belief in beliefs if belief is not None))
    for part in parts:
        belief = part.settings.belief
        if belief is None or belief.rule == "none":
            continue
        if part.has_changed:
            found.changed.append(part.name or part.settings.study_name)
        if not part.is_finished:
            found.missing[part.name] = f"{len(part.trials)} of {part.settings.n_trials} trainings are finished"
            continue
        if part.same_runs:
            found.missing[part.name] = part.same_runs
            continue
        finding = _finding(part, found, console)
        if not belief.decides:
            found.beside.append(f"Beside it, {part.name}: {finding if isinstance(finding, str) else _told(finding)}")
            continue
        if isinstance(finding, str):
            found.missing[part.name] = finding
            continue
        found.findings[part.name] = finding
        if finding.seeds_needed is not None:
            n_cells = part.settings.n_trials // part.settings.replicates
            counts_trials = belief.rule == "independence"
            found.more_trials[part.name] = (finding.seeds_needed - finding.gain.n) * (1 if counts_trials else n_cells)
            replicates = math.ceil(finding.seeds_needed / n_cells) if counts_trials else finding.seeds_needed
            found.remedies[part.name] = _remedy(part, replicates, n_trials=replicates * n_cells)
    return found


def _remedy(part: Evidence, replicates: int, *, n_trials: int) -> str:
    """How an undecided part is decided: by another study, since the number of seeds is part of what a study is."""
    name = part.settings.study_name
    whole = name.removesuffix(f"_{part.name}") if part.name else name
    another = pasted("study_name", f"{whole}-2")
    return (
        f"About {replicates} seeds would decide it; a study that has begun takes no more of them, so run another one: "
        f"replicates={replicates} {another} ({n_trials} trainings{' of this part' if part.name else ''})."
    )


def _finding(part: Evidence, found: Conclusion, console: Console) -> Finding | str:
    settings, belief = part.settings, part.settings.belief
    assert belief is not None
    maximize = settings.objective.direction == "maximize"
    if belief.rule == "independence":
        return _independence(part, found, belief.boundary, console)
    if belief.rule == "one_fits_all":
        values = cells_by_value(part.trials, settings)
        matrix = regret_matrix(values, seeds=range(settings.replicates), maximize=maximize)
        found.matrices[part.name] = matrix
        if matrix.regret:
            shared = {task: {cell: values[task][cell] for cell in matrix.cells} for task in matrix.tasks}
            found.beside += _warm_starts(shared, settings, near=belief.boundary)
        return one_fits_all(matrix, boundary=belief.boundary, metric=settings.objective.metric)
    tables = value_tables(part.trials, settings)
    if tables is None:
        return "no trial of a designed study has a value"
    assert belief.before is not None
    assert belief.after is not None
    return contrast(tables.main, before=belief.before, after=belief.after, boundary=belief.boundary, maximize=maximize)


def _warm_starts(values: Mapping[str, Values], settings: StudySettings, *, near: float) -> Iterator[str]:
    """What a search on each task saves by each other's best settings."""
    maximize = settings.objective.direction == "maximize"
    for source in values:
        for target in values:
            if source != target:
                found = warm_start(
                    values,
                    settings.space,
                    source=source,
                    target=target,
                    near=near,
                    maximize=maximize,
                    seed=settings.seed,
                )
                saved = found.saved
                yield (
                    f"On {target}, TPE comes within {near:g} of the best after {found.scratch:.1f} trials from scratch "
                    f"and {found.warm:.1f} beginning with the {N_BEST} best settings of {source}: "
                    f"{saved.value:.1f} [{saved.lo:.1f}, {saved.hi:.1f}] trials saved (over {saved.n} replays on the "
                    f"{len(values[target])} cells as they were measured)."
                )


def _independence(part: Evidence, found: Conclusion, boundary: float, console: Console) -> Finding | str:
    analysis = analysis_of(part.trials, part.settings, console=console)
    if analysis.tuning is not None:
        cost = analysis.tuning.cost
        found.beside.append(
            f"Tuning one at a time with {analysis.tuning.n_trials} trials would be expected to end {cost.estimate:.4f} "
            f"[{cost.lo:.4f}, {cost.hi:.4f}] further from the best {part.settings.objective.metric} than tuning all "
            "together (both played on the fitted function)."
        )
    if analysis.anova is None:
        return "the trials form no grid"
    return independence(analysis.anova, boundary=boundary)


def remove_belief(folder: Path) -> None:
    """Remove what an earlier conclusion left in `folder`."""
    figures = [path for name in FIGURES for path in (folder / "figures").glob(f"{name}.*")]
    for path in (folder / PAGE, folder / TABLE, *figures):
        path.unlink(missing_ok=True)


def write_belief(folder: Path, found: Conclusion, parts: Sequence[Evidence], *, console: Console) -> None:
    """Write belief.md, belief.csv and the figures into `folder`; print the verdict."""
    folder.mkdir(parents=True, exist_ok=True)
    remove_belief(folder)
    write_csv(folder / TABLE, COLUMNS, list(_rows(found)))
    pictures = []
    if found.findings:
        pictures.append(
            write_drawing(folder / "figures", verdict_drawing(found.findings, claim=found.claim, word=found.word))
        )
    for name, matrix in found.matrices.items():
        metric = next(part.settings.objective.metric for part in parts if part.name == name)
        drawing = regret_drawing(matrix, metric=metric, part=name if len(found.matrices) > 1 else "")
        pictures.append(write_drawing(folder / "figures", drawing))
    page = folder / PAGE
    write_page(page, _page(found, parts, [picture.relative_to(folder) for picture in pictures]))
    console.print("\n".join([found.sentence, *_sentences(found), f"  belief: {page}"]), markup=False)


def _rows(found: Conclusion) -> Iterator[Row]:
    for name, finding in found.findings.items():
        gain = finding.gain
        yield {
            "part": name,
            "verdict": finding.word,
            "gain": gain.value,
            "ci_lo": gain.lo,
            "ci_hi": gain.hi,
            "boundary": finding.boundary,
            "unit": finding.unit,
            "n": gain.n,
            "more_trials": found.more_trials.get(name),
            "what": finding.what,
        }
    for name, why in found.missing.items():
        yield {"part": name, "verdict": "undecided", "what": why}


def _sentences(found: Conclusion) -> Iterator[str]:
    for name, finding in found.findings.items():
        told = " ".join(filter(None, [_told(finding), found.remedies.get(name)]))
        yield f"{name + ': ' if name else ''}{finding.word}: {told}"
    for name, why in found.missing.items():
        yield f"{name or 'undecided'}: {why}."
    yield from found.beside


def _shortly(found: Conclusion) -> str:
    """The gains that decide, in numbers alone."""
    told = []
    for name, finding in found.findings.items():
        gain, part = finding.gain, f"{name.replace('_', ' ')}: " if name and len(found.findings) > 1 else ""
        ends = "" if gain.lo is None else f" [{gain.lo:.4f}, {gain.hi:.4f}]"
        told.append(f"{part}{gain.value:+.4f}{ends}, needs {finding.boundary:+g} ({finding.unit}, n = {gain.n})")
    return "; ".join(told) + "." if told else ""


def _told(finding: Finding) -> str:
    gain = finding.gain
    ends = "" if gain.lo is None else f" [{gain.lo:.4f}, {gain.hi:.4f}]"
    return f"{finding.what}: {gain.value:.4f}{ends} (n = {gain.n}); the claim needs at least {finding.boundary:g}."


def _page(found: Conclusion, parts: Sequence[Evidence], pictures: Sequence[Path]) -> str:
    rule = (
        "Supported: the whole 95 % interval lies at or above the boundary; contradicted: all of it lies below; "
        "undecided: it holds the boundary. "
    )
    if found.changed:
        rule += f"**The rule of {', '.join(found.changed)} was changed after the first trial.**"
    else:
        rule += "The rule is the one that was recorded with the study before its first trial."
    why = " ".join(f"{name + ': ' if name else ''}{reason}." for name, reason in found.missing.items())
    told = " ".join(
        filter(None, [f"**{found.word.capitalize()}** on this task.", found.combined, _shortly(found), why])
    )
    blocks = [f"# {plain(found.claim)}", told, rule]
    blocks.append("\n".join(f"- {sentence}" for sentence in _sentences(found)))
    rows = [
        (
            name or "–",
            finding.word,
            f"{finding.gain.value:.4f}",
            "–" if finding.gain.lo is None else f"{finding.gain.lo:.4f} to {finding.gain.hi:.4f}",
            f"{finding.boundary:g}",
            str(finding.gain.n),
        )
        for name, finding in found.findings.items()
    ]
    if rows:
        blocks.append(table(("part", "verdict", "gain", "95 % interval", "boundary", "n"), rows))
    blocks += [f"![{picture.stem}]({picture.as_posix()})" for picture in pictures]
    blocks += ["## Held fixed", *_held_fixed({part.name: _held(part.settings) for part in parts})]
    return "\n\n".join(blocks) + "\n"


def _held_fixed(parts: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """What no parameter varied, as a table; what parts do not have in common, beside each other in another."""
    keys = list(dict.fromkeys(key for held in parts.values() for key in held))
    values = {key: [held.get(key, NONE) for held in parts.values()] for key in keys}
    common = [(key, found[0]) for key, found in values.items() if len(set(found)) == 1]
    apart = [(key, *found) for key, found in values.items() if len(set(found)) > 1]
    if apart:
        yield table(("setting", *parts), apart)
        yield "In all parts:"
    yield table(("setting", "value"), common)


def _held(settings: StudySettings) -> dict[str, str]:
    """Every setting of model, data and budget that no parameter varied."""
    varied = [path for parameter in settings.space for path in parameter.paths]
    config = fixed_config(settings)
    flat = [*_flat(config.get("model"), "model"), *_flat(config.get("datamodule"), "datamodule")]
    kept = {key: str(value) for key, value in flat if not any((key + ".").startswith(path + ".") for path in varied)}
    budget = settings.budget
    return {"budget": f"{budget.amount:g} {budget.unit}", **kept}


def _flat(node: object, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key not in NOT_TOLD:
                yield from _flat(value, f"{path}.{key}")
    else:
        yield path, node
