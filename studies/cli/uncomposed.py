"""The mistakes that keep a config from being composed, all in one message.

Hydra stops at the first. So the overrides are composed one by one, and each that fails is explained and left out. The
checks of the config are imported late, because they load what only a message needs.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from studies.cli.arguments import read_arguments
from studies.config.composing.configs import compose, group_options
from studies.config.composing.own_options import BY_PATH, place_of
from studies.config.parsing.renamed import key_now, option_now, present_names
from studies.config.parsing.select import NOTHING_SELECTED, OPTIONS
from studies.config.parsing.template import TRAINER_KEYS_OF_OURS
from studies.config.question import KEY
from studies.errors import BadInput, Problem, Problems, nearest
from studies.secrets.names import is_secret_name
from studies.text.quoting import in_quotes, is_key, is_read, pasted

# ValueError: model=3, a group given a number; RecursionError: hundreds of mappings or lists in each other
COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, ValueError, TypeError, RecursionError)
SECRET_VALUE = re.compile(r"@|passw|pwd|secret|key|token", re.IGNORECASE)  # of a storage: not to be shown
NAMED = re.compile(r"([\w.-]+)['\"]?\s*[:=]")  # keys within a value
OWN_OPTIONS = "options of your own lie in a folder that --config-dir or hydra.searchpath=[file://…] names"
# where +key=… makes sense
EXTENSIBLE = ("model", "datamodule", "trainer", "callbacks", "loggers", "links", "search_space", "vars")


def all_problems(arguments: Sequence[str], error: Exception) -> list[Problem]:
    """Return every mistake in `arguments`, and what is wrong with the config without them.

    Return `error` itself where no mistake is found.
    """
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
    """Return the override of the first job of a sweep. Return any other override as it is."""
    try:
        read = OverridesParser.create().parse_override(override)
    except (HydraException, ValueError, RecursionError):
        return override
    if not read.is_discrete_sweep():
        return override
    return f"{read.get_key_element()}={next(iter(read.sweep_string_iterator()))}"


def _place(override: str) -> int:
    """Return when to try an override: the study first, then other groups, since they bring the keys for the rest."""
    return 0 if override.startswith(("+study=", f"+{BY_PATH}=")) else 1 + ("." in override.partition("=")[0])


def _failure_of(overrides: Sequence[str], folders: Sequence[str]) -> Exception | None:
    try:
        compose(overrides, config_dirs=folders)
    except COMPOSITION_ERRORS as error:
        return error
    return None


def _problems_of(overrides: Sequence[str], folders: Sequence[str]) -> list[Problem]:
    """Return the problems of the config that the good overrides make, if they name a study. A question is not asked."""
    from studies.cli.validation import validate_and_open

    config = compose([one for one in overrides if not one.startswith(f"{KEY}=")], config_dirs=folders)
    if OmegaConf.is_missing(config, "study_name"):
        return []
    try:
        validate_and_open(config)
    except BadInput as error:
        return list(error.problems)
    return []


def _of_null(
    override: str, overrides: Sequence[str], good: Sequence[str], folders: Sequence[str]
) -> tuple[str, str, str] | None:
    """Return key, complaint and remedy for an override below a key that is null, and None for any other."""
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
    """Return key, complaint and remedy for an override that does not compose."""
    key, _, value = override.lstrip("+~").partition("=")
    if key.split(".")[0] == "storage" and SECRET_VALUE.search(value):
        return key, "is (hidden), which does not work", "correct or quote the value"
    refused = _refused_by_the_grammar(override, error)
    is_secret = _holds_a_secret(key, value)
    if refused is not None:
        return (key, "is (hidden), which does not work", "quote the value") if is_secret else refused
    value = "(hidden)" if is_secret else value
    if key == "study" and not override.startswith("+"):
        return key, "is added and not overridden", f"write {pasted('+study', value)}, or the name alone"
    if key == BY_PATH:
        complaint = f"is the file {value}.yaml, which does not compose ({_first_line(error)})"
        return "study", complaint, f"correct the file{present_names(_first_line(error))}"
    if (key_present := key_now(key)) is not None:
        return key, "is not a key of the config", f"it is called {key_present} now"
    if (option := option_now(key, value)) is not None:
        return key, f"is {value}, which is no option of that group", f"it is called {option} now"
    options = group_options(key, config_dirs=folders)
    if key == "study" and value in options:
        complaint = f"is {value}, which does not compose ({_first_line(error)})"
        return key, complaint, f"correct its file{present_names(_first_line(error))}"
    if value in options and not override.startswith("+"):
        return key, "is added and not overridden", f"write {pasted(f'+{key}', value)}"
    if options and value not in options:
        return key, f"is {value}, which is no option of that group", f"{nearest(value, options)} ({OWN_OPTIONS})"
    parent, _, name = key.rpartition(".")
    config = compose(good, config_dirs=folders)
    node = OmegaConf.select(config, parent) if parent else config
    if parent == "trainer" and name in TRAINER_KEYS_OF_OURS:
        return key, "is set by the framework", TRAINER_KEYS_OF_OURS[name]
    if parent == "select" and name in OPTIONS:
        return key, *NOTHING_SELECTED
    if override.startswith("+") and not override.startswith("++") and isinstance(node, DictConfig) and name in node:
        return key, "is there already and cannot be added", f"write {shlex.quote(override[1:])}, without the +"
    if not override.startswith("+") and isinstance(node, DictConfig) and name not in node:
        adding = f" (+{key}=… adds it where it may be added)" if key.startswith(EXTENSIBLE) else ""
        return key, "is not a key of the config", nearest(name, [str(known) for known in node]) + adding
    if key.startswith("links."):
        listed = f"links={{{key.removeprefix('links.')}: {value}}}"
        return key, "is no key, since the names of links have dots", f"write {shlex.quote(listed)}"
    if not override.startswith("+") and not isinstance(node, DictConfig) and key.startswith(EXTENSIBLE):
        return key, "is not a key of the config", f"+{key}=… adds it where it may be added"
    top = key.partition(".")[0]
    if not override.startswith("+") and top not in (*config, "hydra"):
        return key, "is not a key of the config", nearest(top, [str(known) for known in config])
    why = "" if is_secret else f" ({_first_line(error)})"
    return key, f"is {value}, which does not work{why}", "correct or quote the value"


def _holds_a_secret(key: str, value: str) -> bool:
    """Return whether an override gives a secret, in whatever spelling."""
    return any(map(is_secret_name, [*key.split("."), *NAMED.findall(value)]))


def _refused_by_the_grammar(override: str, error: Exception) -> tuple[str, str, str] | None:
    """Return key, complaint and remedy for an override that Hydra's grammar refuses, and None for any other."""
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
