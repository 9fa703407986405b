"""The chosen configuration as a config of its own, for `studies.retrain config=…`: `best.yaml`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial, TrialState

from studies import schema
from studies.analysis.choice import Choice
from studies.config.resolvers import texts
from studies.config.settings import FIXED_KEYS, TRAINING_SEED, Link, StudySettings
from studies.secrets.masking import LEFT_OUT, to_be_given
from studies.selection.race import Candidate
from studies.selection.steps import Selection
from studies.storage.checkpoints import StudyCheckpoints, checkpoints_of
from studies.text.printable import printable
from studies.text.quoting import argument, command_line
from studies.trial.building.links import Plain, plain
from studies.trial.half_batch import HalfBatch, write_half


def chosen(settings: StudySettings, choice: Choice, *, trained_in: StudyCheckpoints | None = None) -> dict[str, Any]:
    """Return the whole resolved config of `choice`, with its origin and the checkpoint of its last state, if any.

    `trained_in` are the checkpoints of its trial's study, if that is a round of a selection.
    """
    trial = choice.trial
    point = dict(trial.params)
    applied = settings.space.apply(settings.template, point)
    if schema.BATCH_HALVED in trial.user_attrs:
        half = HalfBatch(**trial.user_attrs[schema.BATCH_HALVED])
        write_half(applied, settings.space, half, path=settings.out_of_memory.batch_size)
    values = linked_values(trial, settings.links)
    for target, value in values.items():
        OmegaConf.update(applied, target, value, force_add=True)
    applied[TRAINING_SEED] = trial.user_attrs[schema.SEED]
    config = OmegaConf.to_container(applied, resolve=True)
    assert isinstance(config, dict)
    objective, budget = settings.objective, settings.budget
    checkpoint = (trained_in or checkpoints_of(settings)).last_state_of(trial)
    return {
        "study": settings.study_name,
        "trial": trial.number,
        "value": choice.value,
        "n_seeds": choice.n,
        TRAINING_SEED: trial.user_attrs[schema.SEED],
        "point": point,
        "objective": {
            **{"metric": objective.metric, "direction": objective.direction, "value": objective.value},
            **({"test": True} if objective.test else {}),  # so that a retraining can count its evaluations
        },
        "budget": {"unit": budget.unit, "amount": budget.amount, "rungs": budget.rungs},
        "threads": trial.user_attrs.get(schema.THREADS),
        **({"devices_per_trial": settings.devices_per_trial} if settings.devices_per_trial > 1 else {}),
        **({"checkpoint": str(checkpoint.absolute())} if checkpoint is not None else {}),
        **({"links": {link.target: link.source for link in settings.links}} if settings.links else {}),
        **({"linked": values} if values else {}),
        **{str(key): value for key, value in config.items() if key in FIXED_KEYS},
    }


def linked_values(trial: FrozenTrial, links: Sequence[Link]) -> dict[str, Plain]:
    """Return the recorded values that `links` wrote into the config of `trial`."""
    recorded = trial.user_attrs.get(schema.LINKED)
    known = recorded if isinstance(recorded, dict) else {}
    return {link.target: plain(known[link.target]) for link in links if link.target in known}


def champion_of(selection: Selection) -> Candidate | None:
    """Return the selected configuration. None if nothing could be selected."""
    return selection.best.champion if selection.best is not None else None


def selected(settings: StudySettings, selection: Selection) -> dict[str, Any] | None:
    """Return the selected configuration in the form of `chosen`. None if nothing could be selected.

    Its value is the estimate from the fresh seeds, and its `trial` is that of the search.
    """
    race, trained = selection.best, representative(selection, checkpoints_of(settings))
    if race is None or race.estimate is None or race.champion is None or trained is None:
        return None
    found = race.estimate
    told = {
        "ci_lo": found.lo,
        "ci_hi": found.hi,
        "searched": selection.searched.value,
        "ties": [race.candidates[i].trial.number for i in race.survivors],
        "n_raced": len(race.candidates),
        "test": {
            name: {
                **{"value": test.estimate.value, "ci_lo": test.estimate.lo, "ci_hi": test.estimate.hi},
                **{"n_seeds": test.estimate.n, "n_samples": test.n_samples},
            }
            for name, test in race.tests.items()
        },
    }
    config = chosen(settings, Choice(trained, found), trained_in=selection.fresh_in)
    origin = {"study": settings.study_name, "trial": race.champion.trial.number}
    known = {key: config[key] for key in ("value", "n_seeds")}
    return {**origin, **known, "selection": told, **{k: v for k, v in config.items() if k not in {*origin, *known}}}


def representative(selection: Selection, checkpoints: StudyCheckpoints) -> FrozenTrial | None:
    """Return the fresh training of the winner that hands on its seed and last state.

    It is the best one if states are kept, else that of the first seed. Its own value is no estimate of the winner.
    """
    fresh = selection.best.fresh if selection.best is not None else ()
    complete = [trial for trial in fresh if trial.state == TrialState.COMPLETE and schema.SEED in trial.user_attrs]
    if not complete:
        return None
    first = min(complete, key=lambda trial: (trial.user_attrs[schema.REPLICATE], trial.number))
    return next(iter(checkpoints.best(complete)), first)


def is_told_by_hand(trial: FrozenTrial) -> bool:
    """Return whether a person told the value of `trial`: trials of workers have a training seed."""
    return schema.SEED not in trial.user_attrs


def best_yaml(settings: StudySettings, best: Choice, *, selection: Selection | None = None) -> str | None:
    """Return `best.yaml`: the selected configuration, or else that of the `best` choice, with its value.

    A secret stays the reference to its environment variable, or is left out. None if a person told the best trial by
    hand: nobody knows how it was trained.
    """
    winner = selected(settings, selection) if selection is not None else None
    if winner is None and is_told_by_hand(best.trial):
        return None
    path = settings.output_dir / "best.yaml"
    header = f"# The best configuration of study {' '.join(settings.study_name.split())}: run it with\n"
    header += f"#   {command_line('retrain', argument('config', path))}\n"
    whole = winner or chosen(settings, best)
    written = OmegaConf.to_container(settings.template, resolve=False)
    given = to_be_given({key: whole[key] for key in (*FIXED_KEYS, "linked") if key in whole}, written)
    left_out = ", ".join(printable(key, one_line=True) for key, text in texts(given) if text == LEFT_OUT)
    header += (
        f"# Left out, being named or formed like a secret: {left_out}. Give its value there.\n" if left_out else ""
    )
    return header + yaml.safe_dump(whole | given, sort_keys=False, allow_unicode=True)
