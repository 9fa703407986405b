"""As in reinforcement learning: a stream of experience without length, no validation, and the reward of an epoch is
logged in its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

N_ACTIONS = 4


class Experience(IterableDataset[Any]):
    def __init__(self, generate: Any) -> None:
        self.generate = generate

    def __iter__(self) -> Iterator[Any]:
        return iter(self.generate())


class Bandit(LightningModule):
    """Learns by policy gradient which of four arms pays."""

    def __init__(self, lr: float = 0.1, steps_per_epoch: int = 64, batch_size: int = 16) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.policy = nn.Linear(1, N_ACTIONS)
        self.rewards: list[float] = []

    def generate(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for _ in range(self.hparams["steps_per_epoch"]):
            state = torch.ones(1)
            with torch.no_grad():
                action = torch.distributions.Categorical(logits=self.policy(state)).sample()
            reward = (action == 2).float() + 0.1 * torch.rand(())
            self.rewards.append(float(reward))
            yield state, action, reward

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        states, actions, rewards = batch
        chosen = torch.distributions.Categorical(logits=self.policy(states)).log_prob(actions)
        return -(chosen * (rewards - rewards.mean())).mean()

    def on_train_epoch_end(self) -> None:
        self.log("avg_reward", sum(self.rewards) / len(self.rewards), prog_bar=True)
        self.rewards.clear()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.hparams["lr"])

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Experience(self.generate), batch_size=self.hparams["batch_size"])
