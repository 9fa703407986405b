"""As in graph learning: a batch is one object that holds several graphs and says how many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from pytorch_lightning import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader

from .points import points


class Graphs:
    """Three nodes a graph; an edge's ends are rows of `x`."""

    def __init__(self, x: Tensor, edge_index: Tensor, batch: Tensor, y: Tensor) -> None:
        self.x, self.edge_index, self.batch, self.y = x, edge_index, batch, y

    @property
    def num_graphs(self) -> int:
        return len(self.y)

    def to(self, device: Any, non_blocking: bool = False) -> Graphs:
        return Graphs(*(member.to(device) for member in (self.x, self.edge_index, self.batch, self.y)))


@dataclass
class One:
    x: Tensor
    y: Tensor


def collate(graphs: list[One]) -> Graphs:
    edges = torch.tensor([[0, 1], [1, 2], [2, 0]]).T
    shifted = torch.cat([edges + 3 * i for i in range(len(graphs))], dim=1)
    batch = torch.arange(len(graphs)).repeat_interleave(3)
    return Graphs(torch.cat([g.x for g in graphs]), shifted, batch, torch.stack([g.y for g in graphs]))


class GraphData(LightningDataModule):
    def __init__(self, batch_size: int = 8) -> None:
        super().__init__()
        self.batch_size = batch_size

    @property
    def num_node_features(self) -> int:
        return self.graphs[0].x.shape[1]

    def setup(self, stage: str) -> None:
        x = points(180).reshape(60, 3, 2)
        self.graphs = [One(nodes, nodes.sum()) for nodes in x]

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.graphs[:48], batch_size=self.batch_size, shuffle=True, collate_fn=collate)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.graphs[48:], batch_size=self.batch_size, collate_fn=collate)


class GraphRegression(LightningModule):
    def __init__(self, lr: float = 0.02, hidden: int = 8, in_channels: int = 2) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.first, self.last = nn.Linear(in_channels, hidden), nn.Linear(hidden, 1)

    def forward(self, data: Graphs) -> Tensor:
        hidden = self.first(data.x).relu()
        hidden = hidden.index_add(0, data.edge_index[1], hidden[data.edge_index[0]])
        pooled = torch.zeros(data.num_graphs, hidden.shape[1]).index_add(0, data.batch, hidden)
        return self.last(pooled).squeeze(1)

    def training_step(self, data: Graphs, batch_idx: int) -> Tensor:
        return nn.functional.l1_loss(self(data), data.y)

    def validation_step(self, data: Graphs, batch_idx: int) -> None:
        self.log("val_mae", nn.functional.l1_loss(self(data), data.y), batch_size=data.num_graphs)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.hparams["lr"])
