import torch

from lightning_modules.tally import Tally


def test_sums_are_weighted_by_samples() -> None:
    tally = Tally()
    tally.add_loss(torch.tensor(1.0), n_samples=30)
    tally.add_loss(torch.tensor(4.0), n_samples=10)
    tally.add_correct(torch.tensor(25))
    assert tally.sums().tolist() == [70.0, 25.0, 40.0]


def test_a_reset_forgets_everything() -> None:
    tally = Tally()
    tally.add_loss(torch.tensor(1.0), n_samples=30)
    tally.add_correct(torch.tensor(25))
    tally.reset(torch.device("cpu"))
    assert tally.sums().tolist() == [0.0, 0.0, 0.0]


def test_adding_keeps_no_graph() -> None:
    tally = Tally()
    tally.add_loss(torch.ones((), requires_grad=True) * 2, n_samples=1)
    assert not tally.sums().requires_grad
