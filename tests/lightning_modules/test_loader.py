import pytest
import torch
from torch import Tensor

from lightning_modules import TensorLoader

INPUTS = torch.arange(20.0).view(10, 2)
TARGETS = torch.arange(10)


def batches(*, batch_size: int, shuffle: bool) -> list[tuple[Tensor, Tensor]]:
    return list(TensorLoader(INPUTS, TARGETS, batch_size=batch_size, shuffle=shuffle))


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(("batch_size", "sizes"), [(4, [4, 4, 2]), (5, [5, 5]), (1, [1] * 10), (64, [10])])
def test_an_epoch_has_every_sample_once_and_keeps_the_short_last_batch(
    batch_size: int, sizes: list[int], shuffle: bool
) -> None:
    loader = TensorLoader(INPUTS, TARGETS, batch_size=batch_size, shuffle=shuffle)
    epoch = list(loader)
    assert [len(targets) for _, targets in epoch] == sizes
    assert len(loader) == len(sizes)
    assert loader.n_samples == 10
    assert sorted(torch.cat([targets for _, targets in epoch]).tolist()) == list(range(10))
    for inputs, targets in epoch:
        assert torch.equal(inputs, INPUTS[targets])


def test_the_trial_seed_decides_the_order_and_each_epoch_has_its_own() -> None:
    torch.manual_seed(5)
    loader = TensorLoader(INPUTS, TARGETS, batch_size=10, shuffle=True)
    first, second = (next(iter(loader))[1].tolist() for _ in range(2))
    torch.manual_seed(5)
    assert batches(batch_size=10, shuffle=True)[0][1].tolist() == first
    assert first != second


def test_an_unshuffled_epoch_is_in_order_costs_no_copy_and_draws_nothing() -> None:
    state = torch.get_rng_state()
    epoch = batches(batch_size=4, shuffle=False)
    assert torch.cat([targets for _, targets in epoch]).tolist() == list(range(10))
    assert epoch[1][0].data_ptr() == INPUTS[4:].data_ptr()
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("n_taken", [1, 2, 3])
def test_the_rest_of_an_epoch_has_each_remaining_sample_once_and_draws_nothing(shuffle: bool, n_taken: int) -> None:
    loader = TensorLoader(INPUTS, TARGETS, batch_size=3, shuffle=shuffle)
    torch.manual_seed(1)
    epoch = iter(loader)
    first = [next(epoch)[1] for _ in range(n_taken)]
    state = loader.state_dict()
    other = TensorLoader(INPUTS, TARGETS, batch_size=3, shuffle=shuffle)
    other.load_state_dict(state)
    generator = torch.get_rng_state()
    rest = [targets for _, targets in other]
    assert torch.equal(torch.get_rng_state(), generator)
    assert [targets.tolist() for targets in rest] == [targets.tolist() for _, targets in epoch]
    assert sorted(torch.cat([*first, *rest]).tolist()) == list(range(10))
    assert len(list(other)) == len(other) == 4


def test_an_epoch_that_was_over_or_not_begun_is_followed_by_a_whole_one() -> None:
    loader = TensorLoader(INPUTS, TARGETS, batch_size=3, shuffle=True)
    for _ in (0, 1):
        loader.load_state_dict(loader.state_dict())
        assert len(list(loader)) == 4


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="batch_size is 0: give 1 sample or more"):
        TensorLoader(INPUTS, TARGETS, batch_size=0, shuffle=False)
    with pytest.raises(ValueError, match=r"lengths is \(10, 9\): give one target for each input"):
        TensorLoader(INPUTS, TARGETS[:9], batch_size=2, shuffle=False)
    with pytest.raises(ValueError, match="give at least one sample"):
        TensorLoader(INPUTS[:0], TARGETS[:0], batch_size=2, shuffle=False)
