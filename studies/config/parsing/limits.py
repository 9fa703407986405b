"""The largest numbers of a config, each with its reason."""

from __future__ import annotations

from studies.secrets.texts import masked

MOST_TRIALS = 1_000_000  # every worker and the report hold all trials of a study at once, some kB each
MOST_CELLS = 100_000  # of a grid, before replicates: each worker makes and orders them all when it begins
MOST_VALUES = 10_000  # levels or choices of a parameter: each is a row of its table, and stands in the study's record
MOST_RUNGS = 1_000_000  # each is a record in the storage, for each trial
MOST_SEEDS = 10_000  # training seeds of one point
MOST_WORKERS = 10_000  # workers, and cores, devices or threads of each
MOST_SECONDS = 1e9  # 32 years; Python's own waits end at 292 years, its dates in 9999
LARGEST_SEED = 2**32 - 1  # NumPy, PyTorch and Lightning take 32 bits
LARGEST_WHOLE = 2**53  # up to here a float, as Optuna stores parameters, holds each whole number
LARGEST = 1e100  # sums, products and squares are finite floats too; PyTorch's own end at 3e38
SMALLEST = 1e-100  # above zero, for the same reason
LONGEST_SHOWN = 200  # characters of a value in a message


def written(limit: float) -> str:
    """Return a limit for a message."""
    return str(limit) if isinstance(limit, int) else f"{limit:g}"


def shown(value: object) -> str:
    """Return `value` as Python writes it, cut if it is long. Python refuses to write the longest numbers."""
    try:
        text = masked(repr(value))
    except ValueError:
        return "a number of thousands of digits"
    except RecursionError:
        return "a value with too many levels"
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"
