"""The recorded table: its file, what it is made of, and a search on it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from studies import schema
from studies.config.settings import StudySettings
from studies.errors import BadInput
from studies.sampler_benchmark import RecordedTable
from studies.sampler_benchmark.record import table_of
from studies.sampler_benchmark.table import SHIPPED, TableAxis, TrainingTable, read_table, write_table
from studies.storage.creation import open_study
from studies.storage.opening import open_storage

MakeSettings = Callable[..., StudySettings]


def small(values: list[list[list[float]]], *, direction: str = "maximize") -> TrainingTable:
    """Two cells of `u`, two seeds, two rungs; and an axis that does not vary."""
    array = np.array(values)[:, None]
    axes = (TableAxis("u", ("low", "high"), False), TableAxis("v", (7,), True))
    seconds = np.arange(array[..., 0].size, dtype=float).reshape(array.shape[:-1])
    return TrainingTable(axes, direction, "score", array, seconds, {"study": "small"})  # type: ignore[arg-type]


SMALL = small([[[0.1, 0.4], [0.1, 0.8]], [[0.2, 0.5], [0.2, 0.5]]])


def written(path: Path, table: TrainingTable = SMALL) -> RecordedTable:
    return RecordedTable(str(write_table(path / "table.npz", table)))


def test_the_shipped_table_is_small_and_dense_and_says_where_it_comes_from() -> None:
    path = resources.files("studies.sampler_benchmark") / "data" / SHIPPED
    assert len(path.read_bytes()) < 2_000_000
    table = read_table()
    assert table.values.shape == (9, 5, 3, 3, 2, 4, 8)
    assert np.isfinite(table.values).all()
    assert (table.seconds > 0).all()
    assert table.origin["trainings"] == 9 * 5 * 3 * 3 * 2 * 4
    assert table.origin["config"]["datamodule"]["_target_"] == "lightning_modules.Digits"
    assert {"versions", "date", "machine", "git", "budget"} <= set(table.origin)


def test_a_search_is_judged_by_the_mean_and_not_by_the_lucky_seed(tmp_path: Path) -> None:
    problem = written(tmp_path)
    random = np.random.default_rng(0)
    low, high = {"u": "low"}, {"u": "high"}
    assert problem.search_space == {"u": {"type": "categorical", "choices": ["low", "high"]}}
    assert [problem.observe(low, replicate=r, random=random).values[-1] for r in range(3)] == pytest.approx(
        [0.4, 0.8, 0.4]
    )
    assert problem.observe(low, replicate=1, random=random).values == pytest.approx((0.1, 0.8))
    assert problem.observe(low, replicate=1, random=random).seconds == 1.0
    assert (problem.truth(low), problem.truth(high)) == pytest.approx((0.6, 0.5))
    assert problem.marks.best == pytest.approx(0.6)
    assert problem.marks.near == pytest.approx(0.006)  # 1 % of the best


@pytest.mark.parametrize(("direction", "mean"), [("maximize", (0.4 + 0.4) / 2), ("minimize", (0.4 + 0.5) / 2)])
def test_a_training_that_diverged_counts_as_the_worst_and_is_seen_as_diverged(
    tmp_path: Path, direction: str, mean: float
) -> None:
    nan = float("nan")
    problem = written(tmp_path, small([[[0.1, 0.4], [0.1, nan]], [[0.2, 0.5], [0.2, 0.5]]], direction=direction))
    assert problem.truth({"u": "low"}) == pytest.approx(mean)
    seen = problem.observe({"u": "low"}, replicate=1, random=np.random.default_rng(0))
    assert len(seen.values) == 1


def test_what_is_no_table_is_refused_and_nothing_in_it_is_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    class Trap:
        def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
            return Path.touch, (str(ran),)  # type: ignore[return-value]

    trap = tmp_path / "trap.npz"
    np.savez(trap, values=np.array([Trap()], dtype=object), seconds=np.zeros(1), description=np.array("{}"))
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps({"values": 1}))
    np.savez(tmp_path / "empty.npz")
    for name in ("trap", "pickle", "empty", "missing"):
        with pytest.raises(BadInput, match=r"problem.path is .*, which is no recorded table"):
            read_table(tmp_path / f"{name}.npz")
    assert not ran.exists()


def trained(settings: StudySettings, number: int) -> FrozenTrial:
    """A training at cell `number` % 4, with the seed `number` // 4; the last one diverged after a rung."""
    replicate, cell = divmod(number, 4)
    diverged = number == 7
    return create_trial(
        state=TrialState.PRUNED if diverged else TrialState.COMPLETE,
        value=None if diverged else 0.2 * number,
        params={"lr": (settings.space["lr"].levels or ())[cell % 2], "batch_size": [16, 64][cell // 2]},
        distributions={name: settings.space[name].distribution() for name in ("lr", "batch_size")},
        intermediate_values={1: 0.1 * number} if diverged else {1: 0.1 * number, 2: 0.2 * number},
        user_attrs={
            schema.REPLICATE: replicate,
            schema.SECONDS: 1.0 + number,
            **({schema.FAILURE: "diverged"} if diverged else {}),
        },
    )


def test_a_finished_grid_becomes_a_table(make_settings: MakeSettings, tmp_path: Path) -> None:
    grid = (
        "sampler=grid",
        "pruner=none",
        "n_trials=null",
        "replicates=2",
        "budget.amount=2",
        "search_space=lr_batch_size",
    )
    settings = make_settings(*grid, "search_space.lr.levels=2", "search_space.batch_size.levels=[16,64]")
    storage = open_storage(settings.storage.address)
    study = open_study(settings, storage)
    with pytest.raises(BadInput, match=r"study_name is digits, which lacks 8 of its trainings: run it to its end"):
        table_of(study, settings)
    for number in range(8):
        study.add_trial(trained(settings, number))
    table = table_of(study, settings)
    assert [axis.name for axis in table.axes] == ["lr", "batch_size"]
    assert table.values[1, 0, 0].tolist() == pytest.approx([0.1, 0.2])
    assert table.values[1, 0, 1].tolist() == pytest.approx([0.5, 1.0])
    assert np.isnan(table.values[1, 1, 1, 1])
    assert table.seconds[0, 1, 1] == 7.0
    assert table.origin["diverged"] == 1


def test_what_is_no_grid_cannot_be_recorded(make_settings: MakeSettings) -> None:
    settings = make_settings()
    study = open_study(settings, open_storage(settings.storage.address))
    with pytest.raises(BadInput, match=r"which was searched by tpe: record a grid"):
        table_of(study, settings)
