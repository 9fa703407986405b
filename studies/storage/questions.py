"""The designed studies that answer questions to a search, as far as the storage holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import optuna
from optuna import Study
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from studies import schema
from studies.config.settings import StudySettings
from studies.config.space import SearchSpace
from studies.records.shapes import json_of
from studies.records.stored import attributes_of
from studies.storage.described_study import space_of


@dataclass(frozen=True, slots=True)
class StoredQuestion:
    """A designed study.

    names: the parameters in question, in the order of the search space
    space: those and the pinned ones, which have one level
    n_complete: its complete trainings
    """

    study_name: str
    names: tuple[str, ...]
    space: SearchSpace
    replicates: int
    n_complete: int

    @property
    def n_trainings(self) -> int:
        """The cells times the replicates."""
        return len(self.space.grid()) * self.replicates

    @property
    def is_finished(self) -> bool:
        """Whether each training of its design is complete."""
        return self.n_complete >= self.n_trainings


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
    """Return all designed studies about parameters of the search of `settings`, by these parameters."""
    found = {}
    for frozen in storage.get_all_studies():
        if frozen.study_name.startswith(question_name(settings.study_name, ("",))):
            study = optuna.load_study(study_name=frozen.study_name, storage=storage)
            described = space_of(study)
            varied = {p.name for p in described or () if len(p.levels or ()) > 1}
            names = tuple(name for name in settings.space.names if name in varied)
            asked = _read(settings, names, study) if names else None
            if asked is not None and asked.study_name == question_name(settings.study_name, names):
                found[names] = asked
    return found


def _read(settings: StudySettings, names: Sequence[str], study: Study) -> StoredQuestion | None:
    """Return what is stored of a designed study. None for a study that is another one."""
    described, searched = space_of(study), settings.space
    identity = json_of(str(attributes_of(study).get(schema.STUDY_IDENTITY)))
    if described is None or not isinstance(identity, Mapping) or not {*described.names} <= {*searched.names}:
        return None
    space = SearchSpace(tuple(replace(searched[p.name], levels=p.levels, role=p.role) for p in described))
    n_complete = sum(trial.state == TrialState.COMPLETE for trial in study.get_trials(deepcopy=False))
    return StoredQuestion(study.study_name, tuple(names), space, int(identity.get("replicates", 1)), n_complete)
