"""What the fork server imports once, so that each worker starts with it.

One thread until a worker chooses its own number: a process forked after torch has run with several threads hangs. The
optimizer step loads what torch loads at the first one. CUDA is never touched here.
"""

import pytorch_lightning
import torch

import studies.worker

torch.set_num_threads(1)
_parameter = torch.nn.Parameter(torch.zeros(1))
_parameter.grad = torch.zeros(1)
torch.optim.Adam([_parameter]).step()

__all__ = ["pytorch_lightning", "studies"]
