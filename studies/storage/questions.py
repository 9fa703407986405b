"""The designed studies that answer questions to a search, as far as the storage holds them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import optuna
from optuna import Study
from optuna.storages import BaseStorage

from studies import schema
from studies.config.settings import StudySettings
from studies.config.space import SearchSpace
from studies.errors import StudyError
from studies.records.shapes import json_of
from studies.records.stored import attributes_of
from studies.storage.described_study import space_of
from studies.storage.slots import Rules


@dataclass(frozen=True, slots=True)
class StoredQuestion:
    """A designed study.

    names: the parameters in question, in the order of the search space
    space: those and the pinned ones, which have one level
    n_finished: its trainings that ended, those that diverged too
    """

    study_name: str
    names: tuple[str, ...]
    space: SearchSpace
    replicates: int
    n_finished: int

    @property
    def n_trainings(self) -> int:
        """The cells times the replicates."""
        return len(self.space.grid()) * self.replicates

    @property
    def is_finished(self) -> bool:
        """Whether each training of its design has ended."""
        return self.n_finished >= self.n_trainings


def question_name(study_name: str, names: Sequence[str]) -> str:
    """Return the name of the designed study of a question."""
    return f"{study_name}-{'-'.join(names)}"


def stored_question(settings: StudySettings, names: Sequence[str], storage: BaseStorage) -> StoredQuestion | None:
    """Return the designed study about `names` of the search of `settings`, None if the storage holds none."""
    name = question_name(settings.study_name, names)
    if name not in {study.study_name for study in storage.get_all_studies()}:
        return None
    return _read(settings, names, optuna.load_study(study_name=name, storage=storage))


def stored_questions(settings: StudySettings, storage: BaseStorage) -> Mapping[tuple[str, ...], StoredQuestion]:
    """Return all designed studies about parameters of the search of `settings`, by these parameters.

    Another study that is damaged, or deleted at this moment, is none of them.
    """
    found = {}
    for frozen in storage.get_all_studies():
        if frozen.study_name.startswith(question_name(settings.study_name, ("",))):
            with contextlib.suppress(KeyError, TypeError, ValueError, StudyError):
                study = optuna.load_study(study_name=frozen.study_name, storage=storage)
                varied = _varied(space_of(study))
                names = tuple(name for name in settings.space.names if name in varied)
                if names and study.study_name == question_name(settings.study_name, names):
                    found[names] = _read(settings, names, study)
    return {names: asked for names, asked in found.items() if asked is not None}


def _read(settings: StudySettings, names: Sequence[str], study: Study) -> StoredQuestion | None:
    """Return what is stored of a designed study. None for a study that is another one."""
    described, searched = space_of(study), settings.space
    identity = json_of(str(attributes_of(study).get(schema.STUDY_IDENTITY)))
    if described is None or not isinstance(identity, Mapping) or not {*described.names} <= {*searched.names}:
        return None
    if _varied(described) != {*names}:
        return None
    space = SearchSpace(tuple(replace(searched[p.name], levels=p.levels, role=p.role) for p in described))
    replicates = int(identity.get("replicates", 1))
    rules = Rules(len(space.grid()) * replicates, settings.max_retries, redraws=False)
    n_finished = rules.n_finished(study.get_trials(deepcopy=False))
    return StoredQuestion(study.study_name, tuple(names), space, replicates, n_finished)


def _varied(space: SearchSpace | None) -> set[str]:
    """Return the names of the parameters with more than one level."""
    return {parameter.name for parameter in space or () if len(parameter.levels or ()) > 1}
