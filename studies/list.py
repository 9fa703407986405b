"""`python -m studies.list [storage.url=…]`: the studies of a storage, how far they are, and their best values.

The best of a designed study is the cell with the best mean. The rounds of a selection stand below the study whose best
they compare: no single value of theirs is a best one, and that of the search is what it was before them. A study that
was damaged is listed with what is wrong with it, and takes none of the others with it.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from studies.cli.command import command

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial
    from rich.table import Table

COLUMNS = ("study", "slots", "trials", "metric", "best")
NONE = "–"
WHOLE = ("study", "slots", "metric")  # columns that are never broken
INDENT = "    "  # of what stands below a study's name where the table does not fit


def list_studies(config: DictConfig) -> int:
    """Print what is known of each study."""
    from studies.cli.validation import refuse_bad_name, storage_to_read

    refuse_bad_name(config)
    print_studies(storage_to_read(config))
    return 0


def print_studies(storage: BaseStorage) -> None:
    """Print what is known of each study of `storage`."""
    from optuna import load_study

    from studies.schema import searched_study
    from studies.text.printable import printable

    studies = _in_order([load_study(study_name=s.study_name, storage=storage) for s in storage.get_all_studies()])
    searched = {searched_study(study.user_attrs) for study in studies}
    rows = [_row_of_any(study, is_raced=study.study_name in searched) for study in studies]
    if rows:
        _print_rows([tuple(printable(cell, one_line=True) for cell in row) for row in rows])
    else:
        print("no studies in this storage")


def _row_of_any(study: Study, *, is_raced: bool) -> tuple[str, ...]:
    """What is told of a study, also where Optuna cannot read its trials."""
    from studies.storage.outage import is_of_a_row, reason

    try:
        return _row(study, is_raced=is_raced)
    except Exception as error:
        if not is_of_a_row(error):
            raise
        return study.study_name, NONE, f"damaged: {reason(error)}", NONE, NONE


def _row(study: Study, *, is_raced: bool) -> tuple[str, ...]:
    """What is told of a study, a text a column."""
    from studies import schema
    from studies.records.stored import attributes_of, damage_of, later_schema_of, trials_of

    attributes = attributes_of(study)
    name = f"  {study.study_name}" if schema.STUDY_SELECT in attributes else study.study_name
    unread = later_schema_of(study) or damage_of(study)
    if unread is not None:
        return name, NONE, unread, NONE, NONE
    trials = trials_of(study)
    slots = _slots(attributes.get(schema.STUDY_N_TRIALS), trials)
    return name, slots, _endings(trials), _metrics(study), _best(study, trials, is_raced=is_raced)


def _endings(trials: Sequence[FrozenTrial]) -> str:
    """Count how trials ended, and the complete ones that cannot be the best."""
    from studies import schema
    from studies.records.eligible import excluded

    run = [trial for trial in trials if schema.VOID not in trial.user_attrs]
    counts = Counter(map(_ending, run))
    lost = str(excluded(run))
    told = ", ".join(f"{count} {state}" for state, count in counts.items()) or "none yet"
    return f"{told} ({lost})" if lost else told


def _ending(trial: FrozenTrial) -> str:
    """Say in a word how a trial ended."""
    from studies.schema import failure_of, is_imported, was_interrupted

    if is_imported(trial) or was_interrupted(trial):
        return "imported" if is_imported(trial) else "interrupted"
    return str(failure_of(trial) or trial.state.name.lower())


def _metrics(study: Study) -> str:
    """Return each metric with its direction; a dash where none has a name."""
    from studies.reporting.goal import stored_goals

    goals = stored_goals(study)
    if all(name == NONE for name, _ in goals):
        return NONE
    return ", ".join(f"{name} ({direction})" for name, direction in goals)


def _print_rows(rows: Sequence[Sequence[str]]) -> None:
    """Print `rows` as a table, or one below another where the screen is too narrow for it: no name is ever cut."""
    from studies.cli.console import make_console

    console = make_console()
    widths = _widths([COLUMNS, *rows], console.width)
    if widths is not None:
        console.print(_table(rows, widths), soft_wrap=False)
        return
    for row in rows:
        print("\n".join(_lines(row, width=console.width)))


def _widths(rows: Sequence[Sequence[str]], width: int) -> list[int] | None:
    """Return a width for each column of a table that is at most `width` wide; None where no such table has room.

    Names and slots stay whole, and all else is broken between its words only.
    """
    from rich.cells import cell_len

    columns = list(zip(*rows, strict=True))
    whole = [max(map(cell_len, cells)) for cells in columns]
    words = [max(cell_len(word) for cell in cells for word in cell.split()) for cells in columns]
    widths = [at_most if name in WHOLE else least for name, at_most, least in zip(COLUMNS, whole, words, strict=True)]
    spare = width - sum(widths) - 3 * len(widths) - 1  # a line and a space on each side
    if spare < 0:
        return None
    for _ in range(spare):  # to the narrowest column that wants more
        wanting = [index for index, at_most in enumerate(whole) if widths[index] < at_most]
        if wanting:
            widths[min(wanting, key=widths.__getitem__)] += 1
    return widths


def _table(rows: Sequence[Sequence[str]], widths: Sequence[int]) -> Table:
    from rich.table import Table

    table = Table()
    for column, width in zip(COLUMNS, widths, strict=True):
        table.add_column(column, width=width, no_wrap=column in WHOLE)
    for row in rows:
        table.add_row(*row)
    return table


def _lines(row: Sequence[str], *, width: int) -> Iterator[str]:
    """Write the cells of `row` below its name, broken between words where the screen ends."""
    name, *cells = row
    yield name
    for column, cell in zip(COLUMNS[1:], cells, strict=True):
        text = f"{column}: {cell}"
        folded = textwrap.wrap(
            text,
            max(width, 1),
            initial_indent=INDENT,
            subsequent_indent=INDENT * 2,
            break_long_words=False,
            break_on_hyphens=False,
        )
        yield from folded


def _in_order(studies: Sequence[Study]) -> list[Study]:
    """The studies in the order in which they were made, each followed by the rounds of its selections."""
    from studies.schema import searched_study

    names = {study.study_name for study in studies}
    rounds = [study for study in studies if searched_study(study.user_attrs) in names]
    ordered = []
    for study in studies:
        if study not in rounds:
            ordered += [study, *(r for r in rounds if searched_study(r.user_attrs) == study.study_name)]
    return [*ordered, *(study for study in rounds if study not in ordered)]  # rounds of rounds, or of themselves


def _best(study: Study, trials: Sequence[FrozenTrial], *, is_raced: bool) -> str:
    """The best value and what it rests on; `is_raced`: a selection among the study's best followed.

    Of a round, the winner's mean over seeds that decided nothing, where it estimates a single one.
    """
    from studies import schema
    from studies.analysis.choice import ranked
    from studies.records.stored import attributes_of
    from studies.storage.described_study import repeats_points

    attributes = attributes_of(study)
    if any(d.name == "NOT_SET" for d in study.directions) or (len(study.directions) > 1 and not attributes):
        return NONE
    maximize = study.directions[0].name == "MAXIMIZE"
    then_maximize = [direction.name == "MAXIMIZE" for direction in study.directions[1:]]
    choices = ranked(
        trials, maximize=maximize, by_point=repeats_points(study), then_maximize=next(iter(then_maximize), None)
    )
    round_ = schema.read_round(attributes)
    if not choices:
        return NONE
    best = choices[0]
    if round_ is not None:
        if round_.stage != "estimate" or len(choices) > 1:
            return NONE
        rests_on = "one training" if best.n == 1 else f"mean of {best.n} fresh seeds"
        return f"{best.value:.4g} (trial {round_.trials[0]}, {rests_on})"
    seeds = f", mean of {best.n} seeds" if best.n > 1 else ""
    return f"{best.value:.4g} (trial {best.trial.number}{seeds})" + (" before its selection" if is_raced else "")


def _slots(n_trials: object, trials: Sequence[FrozenTrial]) -> str:
    """How many of the study's slots have been begun; unknown where another tool made the study."""
    from optuna.trial import TrialState

    from studies.schema import was_interrupted
    from studies.storage.slots import FINISHED, read_slots

    if not isinstance(n_trials, int):
        return NONE
    last = [slot.last for slot in read_slots(trials, n_trials)]
    failed = sum(trial.state == TrialState.FAIL and not was_interrupted(trial) for trial in last)
    finished = sum(trial.state in FINISHED for trial in last)
    return f"{finished} of {n_trials}" + (f", {failed} failed" if failed else "")


main = command(list_studies)

if __name__ == "__main__":
    main()
