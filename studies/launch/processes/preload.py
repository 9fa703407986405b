"""What the fork server imports once, so that each worker starts with it.

One thread until a worker chooses its own number: a process forked after torch has run with several threads hangs.
Nothing here may touch CUDA, for a forked process cannot use what its parent has initialised; that rules out even an
optimizer's step, which asks torch for its accelerator.
"""

import gc
from importlib import import_module

from studies.launch.processes.fork_server import checkpoint, is_fork_server, take_turn

MODULES = (  # the largest ones first
    *("torch", "pytorch_lightning", "studies.trial.objective", "studies.worker"),
    *("alembic.command", "sqlalchemy.dialects.sqlite"),  # which opening a storage imports late
)
CHECKPOINTS = MODULES[:3]  # before what takes long


def _load() -> None:
    for name in MODULES:
        if is_fork_server() and name in CHECKPOINTS:
            checkpoint()
        import_module(name)
    import_module("torch").set_num_threads(1)
    gc.collect()
    gc.freeze()  # no collection of a worker looks at what is loaded here, which is most of what there is


_load()
if is_fork_server():
    checkpoint()
    take_turn()
