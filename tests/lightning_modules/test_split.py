import numpy as np
import pytest
import torch

from lightning_modules.data.split import Split, stratified_split

LABELS = np.random.default_rng(1).choice(4, size=203, p=[0.5, 0.3, 0.15, 0.05])


def split(seed: int = 0) -> Split:
    return stratified_split(LABELS, n_val=31, n_test=40, seed=seed)


def test_the_parts_are_disjoint_and_cover_all() -> None:
    parts = split()
    assert [len(part) for part in (parts.train, parts.val, parts.test)] == [132, 31, 40]
    together = np.concatenate((parts.train, parts.val, parts.test))
    assert sorted(together) == list(range(203))


def test_each_class_has_its_share_of_each_part_to_within_a_sample() -> None:
    parts, shares = split(), np.bincount(LABELS) / len(LABELS)
    for part, tolerance in ((parts.val, 1.0), (parts.test, 1.0), (parts.train, 2.0)):
        assert np.abs(np.bincount(LABELS[part], minlength=4) - shares * len(part)).max() < tolerance


def test_equal_classes_are_split_equally() -> None:
    labels = np.repeat(np.arange(10), 500)
    parts = stratified_split(labels, n_val=750, n_test=750, seed=3)
    for part, n_each in ((parts.train, 350), (parts.val, 75), (parts.test, 75)):
        assert np.bincount(labels[part]).tolist() == [n_each] * 10


def test_the_seed_alone_decides_the_split_and_no_global_generator_is_touched() -> None:
    np.random.seed(1)
    torch.manual_seed(1)
    first = split(seed=7)
    np.random.seed(2)
    torch.manual_seed(2)
    numpys, torchs = np.random.get_state()[1].copy(), torch.get_rng_state()
    second = split(seed=7)
    for name in ("train", "val", "test"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
        assert getattr(first, name).tolist() != getattr(split(seed=8), name).tolist()
    np.testing.assert_array_equal(np.random.get_state()[1], numpys)
    assert torch.equal(torch.get_rng_state(), torchs)


def test_the_order_within_a_part_is_random() -> None:
    labels = np.repeat(np.arange(10), 50)
    assert len(set(labels[stratified_split(labels, n_val=50, n_test=50, seed=0).train][:20])) > 3


def test_a_split_that_leaves_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(ValueError, match=r"n_val \+ n_test is 203: leave at least one of the 203 samples"):
        stratified_split(LABELS, n_val=3, n_test=200, seed=0)
