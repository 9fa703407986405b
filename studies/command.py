"""What all commands share: Hydra composes their config, and every mistake in it ends in one message and exit code 2."""

from __future__ import annotations

import errno
import functools
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from studies.arguments import for_hydra, read_arguments
from studies.configs import as_meant, compose, config_dir, group_options, overruled, search_path
from studies.errors import BadInput, Problem, Problems, StorageUnusable, StudyError, nearest
from studies.help import brief_help, versions
from studies.own_options import BY_PATH, place_of, register
from studies.quoting import in_quotes, is_key, is_read, pasted

Task = Callable[[DictConfig], int]
COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, ValueError)  # ValueError: model=3, a group given a number
INTERRUPTED_EXIT_CODE = 130  # what shells use for Ctrl-C
STOPPING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
SECRET_VALUE = re.compile(r"@|passw|pwd|secret|key|token", re.IGNORECASE)  # of a storage: not to be shown
OWN_OPTIONS = "options of your own lie in a folder that --config-dir or hydra.searchpath=[file://…] names"
EXTENSIBLE = (
    "model",
    "datamodule",
    "trainer",
    "callbacks",
    "loggers",
    "links",
    "search_space",
    "vars",
)  # where +key=… makes sense


def command(task: Task) -> Callable[[], None]:
    """`task` as a command: composes the config from the command line, runs the task, exits with its code."""

    @functools.wraps(task)
    def main() -> None:
        try:
            for number in STOPPING:  # a process that is the first of its container would ignore them
                signal.signal(number, _interrupt)
            sys.exit(_run(task))
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED_EXIT_CODE)
        except StudyError as error:
            sys.exit(_tell(error))

    return main


def prepared(given: Sequence[str], name: str) -> list[str]:
    """Return the arguments that Hydra gets for those that were `given` to the command `name`, and make the current
    folder importable. Prints help or versions where these are asked for, and exits. Raises `BadInput`."""
    arguments = read_arguments(given)
    if arguments.has("--help"):
        print(brief_help(name))
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
    """Compose the config of each job and run `task` on it: the worst exit code."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra's documented switch to raise its errors instead of printing them
    codes, is_composed = [0], False

    def job(config: DictConfig) -> None:
        nonlocal is_composed
        is_composed = True
        codes.append(_do(task, config))
        if codes[-1] == INTERRUPTED_EXIT_CODE:  # of a sweep: its other jobs shall not begin
            sys.exit(INTERRUPTED_EXIT_CODE)

    OmegaConf.register_new_resolver("purpose", lambda: _purpose(task), replace=True)
    register()
    given, sys.argv[1:] = sys.argv[1:], prepared(sys.argv[1:], name_of(task))
    try:
        hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="config")(job)()
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
    given = read_arguments(arguments)
    overrides = [_one_of(override) for override in given.overrides] if given.has("--multirun") else given.overrides
    folders = [*given.folders, *map(place_of, given.more_sources)]
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


def _one_of(override: str) -> str:
    """The first job's part of an override that is swept; any other one as it is."""
    try:
        read = OverridesParser.create().parse_override(override)
    except HydraException:
        return override
    if not read.is_discrete_sweep():
        return override
    return f"{read.get_key_element()}={next(iter(read.sweep_string_iterator()))}"


def _of_lost(names: Sequence[str], overrides: Sequence[str]) -> Problem:
    option = [override for override in overrides if override.startswith("search_space=")][-1].partition("=")[2]
    complaint = f"is {option}, and the study's own file sets {', '.join(names)} of it otherwise, which would win"
    return Problem(
        "search_space", complaint, "put the lines of that space into the study's file, or change single keys"
    )


def _place(override: str) -> int:
    """The study first, then other groups: what they bring may be what the rest sets."""
    return 0 if override.startswith(("+study=", f"+{BY_PATH}=")) else 1 + ("." in override.partition("=")[0])


def _do(task: Task, config: DictConfig) -> int:
    """Run the task on `config`, and return its exit code."""
    overrides = HydraConfig.get().overrides.task
    try:
        lost = overruled(config, overrides)
        if lost:
            raise BadInput([_of_lost(lost, overrides)])
        return task(as_meant(config, overrides, search_path()))
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
    return parent, "is null and has no keys to set", f"give them all at once: {shlex.quote(f'{parent}={{{listed}}}')}"


def _explain(override: str, error: Exception, good: Sequence[str], folders: Sequence[str]) -> tuple[str, str, str]:
    """Key, complaint and remedy for an override that does not compose."""
    from studies.reading.select import NOTHING_SELECTED, OPTIONS
    from studies.reading.settings import TRAINER_KEYS_OF_OURS

    key, _, value = override.lstrip("+~").partition("=")
    if key.split(".")[0] == "storage" and SECRET_VALUE.search(value):
        return key, "is (hidden), which does not work", "correct or quote the value"
    refused = _refused_by_the_grammar(override, error)
    if refused is not None:
        return refused
    if key == "study" and not override.startswith("+"):
        return key, "is added and not overridden", f"write {pasted('+study', value)}, or the name alone"
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


def _refused_by_the_grammar(override: str, error: Exception) -> tuple[str, str, str] | None:
    """Key, complaint and remedy for an override that Hydra cannot even read; None for any other one."""
    given, equals, value = override.partition("=")
    key = given.lstrip("+~")
    if not is_key(key):
        return key, "is a key that the command line cannot name", "set it in the study's file"
    if not equals or is_read(value):
        return None
    complaint = f"is {value}, which does not work ({_first_line(error)})"
    if value[:1] in ("[", "{"):
        return key, complaint, f"""quote each text in it, as in '{given}=["a text"]'"""
    return key, complaint, f"quote the value: {shlex.quote(f'{given}={in_quotes(value)}')}"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _tell(error: StudyError) -> int:
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code
