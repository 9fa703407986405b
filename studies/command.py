"""What all commands share: Hydra composes their config, and every mistake in it ends in one message and exit code 2."""

from __future__ import annotations

import errno
import functools
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from studies.configs import compose, config_dir, deselected, group_options, overruled
from studies.errors import BadInput, Problem, Problems, StorageUnusable, StudyError, nearest

Task = Callable[[DictConfig], int]
COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, ValueError)  # ValueError: model=3, a group given a number
INTERRUPTED_EXIT_CODE = 130  # what shells use for Ctrl-C
STOPPING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
SECRET_VALUE = re.compile(r"@|passw|pwd|secret|key|token", re.IGNORECASE)  # of a storage: not to be shown
SEARCH_PATH = re.compile(r"file://([^,\]\s'\"]+)")  # a folder in hydra.searchpath
OWN_OPTIONS = "options of your own lie in a folder that --config-dir or hydra.searchpath=[file://…] names"
EXTENSIBLE = (
    "model",
    "datamodule",
    "trainer",
    "callbacks",
    "loggers",
    "links",
    "search_space",
)  # where +key=… makes sense


def command(task: Task) -> Callable[[], None]:
    """`task` as a command: composes the config from the command line, runs the task, exits with its code."""

    @functools.wraps(task)
    def main() -> None:
        os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra's documented switch to raise its errors instead of printing them
        codes = [0]
        is_composed = False

        def job(config: DictConfig) -> None:
            nonlocal is_composed
            is_composed = True
            codes.append(_do(task, config))
            if codes[-1] == INTERRUPTED_EXIT_CODE:  # of a sweep: its other jobs shall not begin
                sys.exit(INTERRUPTED_EXIT_CODE)

        OmegaConf.register_new_resolver("purpose", lambda: _purpose(task), replace=True)
        try:
            for number in STOPPING:  # a process that is the first of its container would ignore them
                signal.signal(number, _interrupt)
            hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="config")(job)()
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED_EXIT_CODE)
        except COMPOSITION_ERRORS as error:
            if is_composed:
                raise
            if isinstance(error.__cause__ or error.__context__, KeyboardInterrupt | SystemExit):
                sys.exit(INTERRUPTED_EXIT_CODE)
            sys.exit(_tell(BadInput(all_problems(sys.argv[1:], error))))
        sys.exit(max(codes))  # of a sweep: the worst of its jobs

    return main


def _purpose(task: Task) -> str:
    """What `--help` begins with: the text of the task's file, and where all keys are explained."""
    explained = f"What a key means stands beside it in {config_dir()}: config.yaml, and a file for each option."
    return f"{(sys.modules[task.__module__].__doc__ or '').strip()}\n\n{explained}\n"


def _interrupt(*_: object) -> None:
    """As Ctrl-C, until a command that has something to free takes the signals over. No KeyboardInterrupt: one that
    passes through an `exec` ends the interpreter by SIGINT, whoever catches it (CPython's Py_RunMain)."""
    sys.exit(INTERRUPTED_EXIT_CODE)


def all_problems(arguments: Sequence[str], error: Exception) -> list[Problem]:
    """Everything in `arguments` that keeps the config from being composed, tried one by one, and what is wrong with
    the rest; `error` itself where that finds nothing."""
    given = [argument for argument in arguments if not argument.startswith("-") and "=" in argument]
    overrides = [override for override in given if not override.startswith("hydra.searchpath=")]
    folders = [arguments[i + 1] for i, a in enumerate(arguments[:-1]) if a in ("--config-dir", "-cd")]
    folders += [argument.partition("=")[2] for argument in arguments if argument.startswith("--config-dir=")]
    folders += [folder for override in given if override not in overrides for folder in SEARCH_PATH.findall(override)]
    problems = Problems()
    good: list[str] = []
    for override in sorted(overrides, key=_place):
        failure = _failure_of([*good, override], folders)
        if failure is None:
            good.append(override)
        else:
            problems.add(*(_of_null(override, overrides, good, folders) or _explain(override, failure, good, folders)))
    rest = _problems_of(good, folders) if problems.found else []
    return [*problems.found, *rest] or [Problem("config", f"cannot be composed ({_first_line(error)})", "correct it")]


def _of_lost(names: Sequence[str], overrides: Sequence[str]) -> Problem:
    option = [override for override in overrides if override.startswith("search_space=")][-1].partition("=")[2]
    complaint = f"is {option}, and the study's own file sets {', '.join(names)} of it otherwise, which would win"
    return Problem(
        "search_space", complaint, "put the lines of that space into the study's file, or change single keys"
    )


def _place(override: str) -> int:
    """The study first, then other groups: what they bring may be what the rest sets."""
    return 0 if override.startswith("+study=") else 1 + ("." in override.partition("=")[0])


def _do(task: Task, config: DictConfig) -> int:
    """Run the task on `config`, and return its exit code."""
    overrides = HydraConfig.get().overrides.task
    try:
        lost = overruled(config, overrides)
        if lost:
            raise BadInput([_of_lost(lost, overrides)])
        return task(deselected(config, overrides))
    except StudyError as error:
        return _tell(error)
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT_CODE
    except Exception as error:  # noqa: BLE001 - all but a failure of storage or disk is raised again
        return _tell(_of_the_machine(error))


def _of_the_machine(error: Exception) -> StudyError:
    """What a failure of the storage or a full disk means, in words; anything else is raised as it is."""
    from optuna.exceptions import StorageInternalError

    from studies.storage.opening import unusable

    if isinstance(error, StorageInternalError):
        return unusable(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageUnusable(f"the disk is full ({error.filename}): free some space and run the same command again")
    raise error


def _failure_of(overrides: Sequence[str], folders: Sequence[str]) -> Exception | None:
    try:
        compose(overrides, config_dirs=folders)
    except COMPOSITION_ERRORS as error:
        return error
    return None


def _problems_of(overrides: Sequence[str], folders: Sequence[str]) -> list[Problem]:
    """What is wrong with the config that the good overrides make, if they name a study."""
    from studies.admission import admit

    config = compose(overrides, config_dirs=folders)
    if OmegaConf.is_missing(config, "study_name"):
        return []
    try:
        admit(config)
    except BadInput as error:
        return list(error.problems)
    return []


def _of_null(
    override: str, overrides: Sequence[str], good: Sequence[str], folders: Sequence[str]
) -> tuple[str, str, str] | None:
    """Key, complaint and remedy for an override below a key that is null; None for any other one."""
    parent = override.lstrip("+").partition("=")[0].rpartition(".")[0]
    above, _, name = parent.rpartition(".")
    config = compose(good, config_dirs=folders)
    node = OmegaConf.select(config, above) if above else config
    if parent.startswith("storage.") or not isinstance(node, DictConfig) or name not in node or node[name] is not None:
        return None
    settings = [other.lstrip("+").partition("=") for other in overrides]
    beside = [(key, value) for key, _, value in settings if key.startswith(f"{parent}.")]
    listed = ", ".join(f"{key.removeprefix(f'{parent}.')}: {value}" for key, value in beside)
    return parent, "is null and has no keys to set", f"give them all at once: '{parent}={{{listed}}}'"


def _explain(override: str, error: Exception, good: Sequence[str], folders: Sequence[str]) -> tuple[str, str, str]:
    """Key, complaint and remedy for an override that does not compose."""
    from studies.reading.select import NOTHING_SELECTED, OPTIONS
    from studies.reading.settings import TRAINER_KEYS_OF_OURS

    key, _, value = override.lstrip("+~").partition("=")
    if key.split(".")[0] == "storage" and SECRET_VALUE.search(value):
        return key, "is (hidden), which does not work", "correct or quote the value"
    if key == "study" and not override.startswith("+"):
        return key, "is added and not overridden", f"write +study={value}"
    options = group_options(key, config_dirs=folders)
    if options and value not in options:
        return key, f"is {value}, which is no option of that group", f"{nearest(value, options)}; {OWN_OPTIONS}"
    parent, _, name = key.rpartition(".")
    config = compose(good, config_dirs=folders)
    node = OmegaConf.select(config, parent) if parent else config
    if parent == "trainer" and name in TRAINER_KEYS_OF_OURS:
        return key, "is set by the framework", TRAINER_KEYS_OF_OURS[name]
    if parent == "select" and name in OPTIONS:
        return key, *NOTHING_SELECTED
    if not override.startswith("+") and isinstance(node, DictConfig) and name not in node:
        adding = f"; +{key}=… adds it where it may be added" if key.startswith(EXTENSIBLE) else ""
        return key, "is not a key of the config", nearest(name, [str(known) for known in node]) + adding
    return key, f"is {value}, which does not work ({_first_line(error)})", "correct or quote the value"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _tell(error: StudyError) -> int:
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code
