"""The modules that the fork server imports once, so that each worker starts with them.

torch keeps one thread here, until a worker chooses its number. A process that is forked after torch has run with
several threads hangs. Nothing here may touch CUDA: a forked process cannot use a CUDA that its parent has initialised.
So no optimizer may take a step here either, as a step asks torch for the accelerator.
"""

import gc
from importlib import import_module

from studies.launch.processes.fork_server import checkpoint, is_fork_server, take_turn

MODULES = (  # the largest ones first
    *("torch", "pytorch_lightning", "studies.trial.objective", "studies.worker"),
    *("alembic.command", "sqlalchemy.dialects.sqlite"),  # imported late when a storage is opened
)
CHECKPOINTS = MODULES[:3]  # before the slow imports


def _load() -> None:
    for name in MODULES:
        if is_fork_server() and name in CHECKPOINTS:
            checkpoint()
        import_module(name)
    import_module("torch").set_num_threads(1)
    gc.collect()
    gc.freeze()  # a worker's collections skip what is loaded here, which is most of its objects


_load()
if is_fork_server():
    checkpoint()
    take_turn()
