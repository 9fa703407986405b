"""What the fork server imports once, so that each worker starts with it.

One thread until a worker chooses its own number: a process forked after torch has run with several threads hangs.
Nothing here may touch CUDA, for a forked process cannot use what its parent has initialised; that rules out even an
optimizer's step, which asks torch for its accelerator.
"""

import gc

import alembic.command
import pytorch_lightning
import sqlalchemy.dialects.sqlite
import torch

import studies.trial.objective
import studies.worker

torch.set_num_threads(1)
gc.collect()
gc.freeze()  # no collection of a worker looks at what is loaded here, which is most of what there is

__all__ = ["alembic", "pytorch_lightning", "sqlalchemy", "studies"]
