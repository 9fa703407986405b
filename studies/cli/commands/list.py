"""`studies.list`: a row for each study, each followed by the rounds of its selections."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig
from optuna import Study, load_study
from optuna.storages import BaseStorage

from studies.cli.study_rows import COLUMNS, UNBROKEN, study_row
from studies.cli.table import print_table
from studies.cli.validation import refuse_bad_name, storage_to_read
from studies.schema import searched_study
from studies.text.printable import printable


def list_storage(config: DictConfig) -> int:
    """List the studies in the storage of `config`. Return the exit code."""
    refuse_bad_name(config)
    print_studies(storage_to_read(config))
    return 0


def print_studies(storage: BaseStorage) -> None:
    """Print a row for each study of `storage`."""
    studies = _in_order([load_study(study_name=s.study_name, storage=storage) for s in storage.get_all_studies()])
    searched = {searched_study(study.user_attrs) for study in studies}
    rows = [study_row(study, is_raced=study.study_name in searched) for study in studies]
    if rows:
        print_table(COLUMNS, [tuple(printable(cell, one_line=True) for cell in row) for row in rows], unbroken=UNBROKEN)
    else:
        print("no studies in this storage")


def _in_order(studies: Sequence[Study]) -> list[Study]:
    """Return the studies in the order of their creation, each followed by the rounds of its selections."""
    names = {study.study_name for study in studies}
    rounds = [study for study in studies if searched_study(study.user_attrs) in names]
    ordered = []
    for study in studies:
        if study not in rounds:
            ordered += [study, *(r for r in rounds if searched_study(r.user_attrs) == study.study_name)]
    return [*ordered, *(study for study in rounds if study not in ordered)]  # rounds of rounds, or of themselves
