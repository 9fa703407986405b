"""`python -m studies.list [storage.url=…]`: the studies of a storage, how far they are, and their best values.

The best of a designed study is the cell with the best mean. The rounds of a selection stand below the searched study.
The best value of that study is the one before its selection. A damaged study is listed with its damage.
"""

from __future__ import annotations

from omegaconf import DictConfig

from studies.cli.command import command


def list_studies(config: DictConfig) -> int:
    """Print a row for each study of a storage. Return 0."""
    from studies.cli.commands.list import list_storage  # late, so that --help answers at once

    return list_storage(config)


main = command(list_studies)

if __name__ == "__main__":
    main()
