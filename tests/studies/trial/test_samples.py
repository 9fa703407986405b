"""How many samples a batch holds, for batches of every kind and loaders that tell more or less."""

from __future__ import annotations

from collections import UserDict, namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from studies.trial.rungs.samples import SampleCount, counter_of

Rows = list[Tensor]
IMAGES = list(torch.zeros(20, 3, 5))  # of three channels
Pair = namedtuple("Pair", "name images")


@dataclass
class Fields:
    images: Tensor
    scale: float


class Graph:
    """Nodes of several graphs beside each other, as graph libraries put them together."""

    def __init__(self, n_graphs: int) -> None:
        self.num_graphs = n_graphs
        self.nodes = torch.zeros(4 * n_graphs, 2)


class Tokens:
    """An object with tensors, of no known kind."""

    def __init__(self, rows: Rows) -> None:
        self.ids = torch.stack(rows)


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(IMAGES)


KINDS: dict[str, Callable[[Rows], Any]] = {
    "tensor": torch.stack,
    "pair": lambda rows: (torch.stack(rows), torch.zeros(len(rows))),
    "mapping": lambda rows: UserDict(images=torch.stack(rows)),
    "dataclass": lambda rows: Fields(torch.stack(rows), 0.5),
    "named tuple": lambda rows: Pair("all", torch.stack(rows)),
    "object": Tokens,
    "graphs": lambda rows: Graph(len(rows)),
    "texts first": lambda rows: ({"text": ["a b"] * len(rows)}, torch.stack(rows)),
    "texts": lambda rows: ["a b"] * len(rows),
    "token lists": lambda rows: [[1, 2, 3, 4] for _ in rows],
    "nested": lambda rows: [[1.0, [torch.stack(rows)]], [torch.stack(rows)]],
    "detection": lambda rows: [(row, {"boxes": torch.zeros(2, 4)}) for row in rows],
    "detection, zipped": lambda rows: tuple(zip(*[(row, {"boxes": torch.zeros(2, 4)}) for row in rows], strict=True)),
    "packed": torch.nn.utils.rnn.pack_sequence,
    "numpy": lambda rows: np.stack([row.numpy() for row in rows]),
}


def counted(loader: Any) -> list[int | None]:
    count, batches = SampleCount(loader), list(loader)
    return [count.of(batch, i, is_last=i + 1 == len(batches)) for i, batch in enumerate(batches)]


@pytest.mark.parametrize("batch_size", [8, 3])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("data", [IMAGES, Stream()], ids=["sized", "stream"])
def test_each_kind_of_batch_is_counted_the_short_last_one_too(data: Any, kind: str, batch_size: int) -> None:
    """Three at a time are as many as an image has channels, which is no number of samples."""
    loader = DataLoader(data, batch_size=batch_size, collate_fn=KINDS[kind])
    assert counted(loader) == [batch_size] * (20 // batch_size) + [20 % batch_size]


def test_batches_with_time_first_are_counted_by_what_the_loader_draws() -> None:
    loader = DataLoader(IMAGES, batch_size=8, collate_fn=lambda rows: torch.stack(rows).transpose(0, 1))
    assert counted(loader) == [8, 8, 4]


def test_nothing_is_said_of_a_stream_whose_batches_do_not_show_the_batch_size() -> None:
    loader = DataLoader(Stream(), batch_size=8, collate_fn=lambda rows: torch.stack(rows).transpose(0, 1))
    assert counted(loader)[0] is None


def test_samples_that_were_left_out_of_a_batch_are_not_counted() -> None:
    loader = DataLoader(
        range(20), batch_size=8, collate_fn=lambda rows: torch.tensor([row for row in rows if row != 9])
    )
    assert counted(loader) == [8, 7, 4]


@pytest.mark.parametrize(
    ("item", "n"), [((torch.zeros(6, 2), torch.zeros(6)), 6), ((torch.zeros(2), torch.tensor(1)), None)]
)
def test_without_a_batch_size_all_tensors_have_to_agree(item: tuple[Tensor, ...], n: int | None) -> None:
    assert counted(DataLoader([item] * 3, batch_size=None)) == [n] * 3


def test_a_single_tensor_may_be_one_sample() -> None:
    assert counted(DataLoader(IMAGES, batch_size=None))[0] is None


def test_a_batch_sampler_of_unequal_batches_is_counted() -> None:
    assert counted(DataLoader(IMAGES, batch_sampler=[[0, 1], [2, 3, 4]])) == [2, 3]


def test_dropped_last_batches_and_smaller_data_sets_are_counted() -> None:
    assert counted(DataLoader(IMAGES, batch_size=8, drop_last=True)) == [8, 8]
    assert counted(DataLoader(IMAGES[:5], batch_size=8)) == [5]


def test_of_combined_loaders_the_first_is_counted() -> None:
    steps, count = counter_of({"a": DataLoader(IMAGES, batch_size=4), "b": DataLoader(IMAGES, batch_size=8)})
    batch: Any = {"a": torch.zeros(4, 3), "b": torch.zeros(8, 3)}
    for step in steps:
        batch = step(batch)
    assert count.of(batch, 0) == 4
