"""What a worker's own fork server imports once, so that each rank of its trials starts with it.

One thread until a rank takes its own number: a process forked after torch has run with several threads hangs. Nothing
here may touch CUDA.
"""

import gc

import pytorch_lightning
import torch

import studies.trial.ranks.process

torch.set_num_threads(1)
gc.collect()
gc.freeze()  # no collection of a rank looks at what is loaded here

__all__ = ["pytorch_lightning", "studies"]
