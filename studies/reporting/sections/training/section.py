"""What decides whether a configuration trains, and what decides how well.

Context: where trials fall into two groups, shares of the whole variance tell what decides whether a configuration
trains, and nothing else. Choice: a section of its own gives both answers, and speaks only then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from studies.analysis.estimate import Estimate
from studies.analysis.levels import CLAIM, NOT_KNOWN
from studies.reporting.csv_table import Row, csv_text, estimate_cells
from studies.reporting.finding import Block, File, Finding, Heading, Paragraph, Table, paragraphs
from studies.reporting.sections.training.words import region_words
from studies.reporting.view import StudyView
from studies.reporting.wording import estimate_text, interval_text
from studies.text.wording import counted, crossed, fixed, listed

if TYPE_CHECKING:
    from studies.analysis.training.training import TrainingAnalysis

TITLE = "What decides whether it trains, and how well"
FILES = ("training.csv",)
COLUMNS = ("question", "params", "share", "ci_lo", "ci_hi")
MAX_PAIRS = 6
UNKNOWN = "not known"


def compute(view: StudyView) -> Finding | None:
    """Return both answers, None unless the trials fall into two groups."""
    if not view.is_analysed or view.analysis.training is None:
        return None
    return training_finding(view.analysis.training, metric=view.metric, maximize=view.maximize)


def training_finding(found: TrainingAnalysis, *, metric: str, maximize: bool) -> Finding:
    """Return the counts, both tables and the region in words. If nothing is learned, only the counts and that."""
    text = csv_text(COLUMNS, [*_rows(found)])
    how_well = _how_well(found, metric) if found.is_learned else ()
    blocks = (*_groups(found, metric, maximize=maximize), *_whether(found), *how_well)
    return Finding(TITLE, blocks=(*blocks, File("training", FILES[0], text)))


def _groups(found: TrainingAnalysis, metric: str, *, maximize: bool) -> Iterator[Block]:
    groups = found.groups
    n = groups.n_trained + groups.n_others
    said = [f"{groups.n_trained} of {counted(n, 'trial', 'trials')} train, and {groups.n_others} do not."]
    if groups.border is not None:
        side = "at least" if maximize else "at most"
        said.append(f"The values of {metric} fall into two groups: a trial trains if its value is {side} ")
        said[-1] += f"{groups.border:.3g}."
    if groups.n_diverged:
        said.append(f"{counted(groups.n_diverged, 'trial', 'trials')} diverged or ran out of memory.")
    if found.n_used < n:
        said.append(f"{found.n_used} trials, drawn evenly, are used.")
    if found.inactive:
        some = "it" if len(found.inactive) == 1 else "them"
        said.append(f"{listed(found.inactive)} is left out here, because some trials did not have {some}.")
    yield Paragraph(" ".join(said))


def _whether(found: TrainingAnalysis) -> Iterator[Block]:
    yield Heading("What decides whether it trains")
    if not found.is_learned:
        yield Paragraph(
            "The trials do not tell what decides. From the others, the classifier predicts whether a trial trains no "
            f"better than it predicts shuffled groups. {_confirmed(found)}"
        )
        return
    names = [axis.name for axis in found.axes]
    mains = sorted(zip(names, found.mains, strict=True), key=lambda own: -own[1].value)
    pairs = sorted(found.pairs.items(), key=lambda own: -own[1].value)[:MAX_PAIRS]
    rows = [_cells(name, share) for name, share in mains]
    rows += [_cells(crossed((names[i], names[j])), share) for (i, j), share in pairs if share.value > CLAIM]
    yield Table(("parameter", "share", "95 % interval"), tuple(rows))
    yield Paragraph(
        "Share: of the variance of the chance to train over the search space, by a Gaussian-process classifier. A "
        f"pair's share is what the two do together. {_confirmed(found)}"
    )
    yield from paragraphs(_region(found))


def _confirmed(found: TrainingAnalysis) -> str:
    return (
        f"Confirmed: {fixed(found.confirmed, 2)} of the variance of whether a trial trains, by predicting each of "
        f"{found.n_used} trials from the others. Shuffled groups reach up to {fixed(found.from_noise, 2)}."
    )


def _region(found: TrainingAnalysis) -> str:
    said = []
    if found.region is not None:
        agreement = f"{found.region.agreement:.0%}".replace("%", " %")
        said.append(
            f"It trains where {region_words(found.region.boxes)}. The classifier says the same at {agreement} of the "
            f"points of the search space."
        )
    if found.among is not None:
        said.append(f"{estimate_text(found.among.share, '.0f', percent=True)} of the search space trains.")
    return " ".join(said)


def _how_well(found: TrainingAnalysis, metric: str) -> Iterator[Block]:
    yield Heading("What decides how well, among configurations that train")
    if found.among is None:
        yield Paragraph(
            f"{counted(found.n_inside, 'trial lies', 'trials lie')} where configurations train: too few, or too equal, "
            f"to tell what decides {metric} there."
        )
        return
    names = [found.axes[i].name for i in found.among.chosen]
    ranked = sorted(zip(names, found.among.effects, strict=True), key=lambda own: -own[1].value)
    yield Table(("parameter", "Shapley effect", "95 % interval"), tuple(_cells(*own) for own in ranked))
    others = [axis.name for axis in found.axes if axis.name not in names]
    averaged = f" It is averaged over {listed(others)}." if others else ""
    inside = counted(found.n_inside, "trial lies", "trials lie")
    yield Paragraph(
        f"Shapley effect: a parameter's part of the variance of {metric}, without noise, over all configurations that "
        "rather train than not. Parameters depend on each other there, so interactions are shared among them. The "
        f"parts sum to 1. {inside} there. Those left out of the fit are predicted with Q² {fixed(found.among.q2, 2)}."
        f"{averaged}"
    )


def _cells(name: str, share: Estimate) -> tuple[str, str, str]:
    lo, hi = share.ends
    return (name, UNKNOWN if hi - lo >= NOT_KNOWN else fixed(share.value), interval_text(share, ".3f"))


def _rows(found: TrainingAnalysis) -> Iterator[Row]:
    names = [axis.name for axis in found.axes]
    for name, share in zip(names, found.mains, strict=True):
        yield {"question": "whether", "params": name, **estimate_cells("share", share)}
    for (i, j), share in found.pairs.items():
        yield {"question": "whether", "params": f"{names[i]}*{names[j]}", **estimate_cells("share", share)}
    if found.among is not None:
        for i, share in zip(found.among.chosen, found.among.effects, strict=True):
            yield {"question": "how well", "params": names[i], **estimate_cells("share", share)}
