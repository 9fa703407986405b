"""What all commands share: Hydra composes their config, and every mistake in it ends in one message and exit code 2.

A command imports its implementation late, and this file the errors of the storage. So `--help` and `--cfg job` answer
at once.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

import hydra
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from studies.cli.arguments import for_hydra, read_arguments
from studies.cli.help import brief_help, versions
from studies.cli.uncomposed import COMPOSITION_ERRORS, all_problems
from studies.config.composing.configs import as_meant, config_dir, given_overrides, overruled, search_path
from studies.config.composing.own_options import register
from studies.config.parsing.soundness import refuse_unsound
from studies.config.shown_config import hide_secrets_of_sweep, run_with_secrets_hidden
from studies.errors import BadInput, Problem, StudyError
from studies.process.leaving import exits_in_time
from studies.process.signals import EndedBySignal
from studies.text.printable import printable

Task = Callable[[DictConfig], int]
INTERRUPTED_EXIT_CODE = 130  # what shells use for Ctrl-C
PIPE_EXIT_CODE = 141  # what shells use for SIGPIPE
STOPPING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


def command(task: Task) -> Callable[[], None]:
    """Return `task` as a command. It composes the config from the command line, and exits with the task's code."""

    @functools.wraps(task)
    def main() -> None:
        sys.excepthook = _print_traceback
        with exits_in_time(_print_note):
            try:
                for number in STOPPING:  # a process that is the first of its container would ignore them
                    signal.signal(number, _interrupt)
                sys.exit(_run(task))
            except KeyboardInterrupt:
                sys.exit(INTERRUPTED_EXIT_CODE)
            except BrokenPipeError:  # the reader has seen enough, as in `… | head`
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is flushed in the end
                sys.exit(PIPE_EXIT_CODE)
            except StudyError as error:
                sys.exit(_print_error(error))

    return main


def prepared(given: Sequence[str], name: str) -> list[str]:
    """Return Hydra's arguments for those `given` to the command `name`. Make the current folder importable.

    Print the help or the versions and exit, if the arguments ask for them. Raises `BadInput`.
    """
    arguments = read_arguments(given)
    if arguments.has("--help"):
        print(brief_help(name), flush=True)
        sys.exit(0)
    if arguments.has("--version"):
        print(versions())
        sys.exit(0)
    for_its_task = for_hydra(arguments)
    make_importable(Path.cwd(), *(Path(word).absolute().parent for word in arguments.words if Path(word).is_file()))
    return for_its_task


def make_importable(*folders: Path) -> None:
    """Let modules in `folders` be imported, here and in every process that this one starts, wherever it runs."""
    known = [Path(entry).absolute() for entry in sys.path]
    sys.path[:0] = [str(folder) for folder in dict.fromkeys(folders) if folder not in known]
    inherited = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    entries = dict.fromkeys([*map(str, folders), *(str(Path(entry).absolute()) for entry in inherited)])
    os.environ["PYTHONPATH"] = os.pathsep.join(entries)


def _run(task: Task) -> int:
    """Compose the config of each job, run `task` on it, and return the worst exit code."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra's documented switch to raise its errors instead of printing them
    codes, is_composed = [0], False

    def job(config: DictConfig) -> None:
        nonlocal is_composed
        is_composed = True
        hide_secrets_of_sweep(config)
        codes.append(_do(task, config))
        if codes[-1] == INTERRUPTED_EXIT_CODE:  # of a sweep: its other jobs shall not begin
            sys.exit(INTERRUPTED_EXIT_CODE)

    OmegaConf.register_new_resolver("purpose", lambda: _purpose(task), replace=True)
    register()
    given, sys.argv[1:] = sys.argv[1:], prepared(sys.argv[1:], name_of(task))
    try:
        run = hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="config")(job)
        run_with_secrets_hidden(run, sys.argv[1:])
    except COMPOSITION_ERRORS as error:
        if is_composed:
            raise
        if isinstance(error.__cause__ or error.__context__, KeyboardInterrupt | SystemExit):
            return INTERRUPTED_EXIT_CODE
        raise BadInput(all_problems(sys.argv[1:], error)) from None
    finally:
        sys.argv[1:] = given
    return max(codes)


def name_of(task: Task) -> str:
    """Return the name of a task's command, as in `python -m studies.NAME`."""
    module = sys.modules[task.__module__]
    spec = module.__spec__.name if module.__spec__ is not None else task.__module__
    return spec.removeprefix("studies.").removesuffix(".__main__")


def _purpose(task: Task) -> str:
    """Return the text above the config in `--help-all`: the docstring of its file, and the place of the keys."""
    explained = f"What a key means stands beside it in {config_dir()}: config.yaml, and a file for each option."
    return f"{(sys.modules[task.__module__].__doc__ or '').strip()}\n\n{explained}\n"


def _interrupt(*_: object) -> None:
    """End as at Ctrl-C. A command with something to free takes the signals over later.

    Raise no KeyboardInterrupt: when it passes through an `exec`, CPython ends itself by SIGINT even if it was caught.
    """
    raise EndedBySignal(INTERRUPTED_EXIT_CODE)


def _of_lost(names: Sequence[str], overrides: Sequence[str]) -> Problem:
    option = [override for override in overrides if override.startswith("search_space=")][-1].partition("=")[2]
    complaint = f"is {option}, and the study's own file sets {', '.join(names)} of it otherwise, which would win"
    return Problem(
        "search_space", complaint, "put the lines of that space into the study's file, or change single keys"
    )


def _do(task: Task, config: DictConfig) -> int:
    """Run the task on `config`, and return its exit code."""
    overrides = given_overrides()
    try:
        refuse_unsound(config)
        lost = overruled(config, overrides)
        if lost:
            raise BadInput([_of_lost(lost, overrides)])
        return task(as_meant(config, overrides, search_path()))
    except StudyError as error:
        return _print_error(error)
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT_CODE
    except OmegaConfBaseException as error:  # of a key that only this command reads
        complaint = f"cannot be resolved ({str(error).splitlines()[0]})"
        return _print_error(BadInput([Problem(error.full_key or "config", complaint, "correct the interpolation")]))
    except Exception as error:
        from studies.cli.machine import failure_of_the_machine

        failure = failure_of_the_machine(error)
        if failure is None:
            raise
        return _print_error(failure)


def _print_note(line: str) -> None:
    print(printable(f"note: {line}"), file=sys.stderr)


def _print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the traceback of an unexpected error without secrets."""
    print(printable("".join(traceback.format_exception(kind, error, trace))), file=sys.stderr, end="")


def _print_error(error: StudyError) -> int:
    print(printable(f"error: {error}"), file=sys.stderr)
    return error.exit_code
