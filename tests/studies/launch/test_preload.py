from __future__ import annotations

import subprocess
import sys

SPY = """
import gc
import torch
asked = []
torch.cuda.is_available = lambda: bool(asked.append("cuda")) or False
stepped = []
from torch.optim.optimizer import register_optimizer_step_pre_hook
register_optimizer_step_pre_hook(lambda *_: stepped.append("step"))
import studies.launch.processes.preload
assert not torch.cuda.is_initialized()
assert torch.get_num_threads() == 1
assert gc.get_freeze_count() > 100_000
raise SystemExit(len(asked) + len(stepped))
"""


def test_the_fork_server_asks_nothing_of_cuda_and_uses_one_thread() -> None:
    """Where torch was built for CUDA, asking whether it is there is enough to spoil it for forked workers.

    An optimizer's step asks, but only on such a build, so steps are spied on too. What is loaded is set aside from the
    collections of the workers.
    """
    assert subprocess.run([sys.executable, "-c", SPY], check=False).returncode == 0
