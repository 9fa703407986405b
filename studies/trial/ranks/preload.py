"""The imports of a worker's own fork server, from which each rank of its trials starts.

One thread until a rank takes its own number: a process forked after torch has run with several threads hangs. Nothing
here may touch CUDA.
"""

import gc

import pytorch_lightning
import torch

import studies.trial.ranks.rank

torch.set_num_threads(1)
gc.collect()
gc.freeze()  # keeps these objects out of each rank's collections

__all__ = ["pytorch_lightning", "studies"]
