"""`python -m studies`: the commands, a line each."""

from __future__ import annotations

import sys

from studies.cli.help import COMMANDS, overview, versions
from studies.errors import BadInput, Problem, nearest


def main() -> None:
    """Print the commands, or say how the one that was meant is called."""
    given = sys.argv[1:]
    if given == ["--version"]:
        print(versions())
    elif not given or given[0] in ("-h", "--help", "--help-all"):
        print(overview())
    else:
        sys.exit(_refuse(given[0]))


def _refuse(word: str) -> int:
    remedy = f"write python -m studies.{word}" if word in COMMANDS else nearest(word, COMMANDS)
    error = BadInput([Problem("command", f"is {word}, and each command is a module of its own", remedy)])
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code


if __name__ == "__main__":
    main()
