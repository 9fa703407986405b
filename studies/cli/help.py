"""The texts of `--help` and `--version`, and the list of all commands."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata

from studies.config.composing.configs import config_dir

PACKAGES = ("lightning-studies", "optuna", "torch", "lightning", "pytorch-lightning", "hydra-core")


@dataclass(frozen=True, slots=True)
class CommandHelp:
    """A command: its task in a few words, and examples of its arguments with their purpose."""

    summary: str
    examples: Sequence[tuple[str, str]]


COMMANDS: Mapping[str, CommandHelp] = {
    "run": CommandHelp(
        "search, select and report a study, or continue an unfinished one",
        (
            ("mnist", "a shipped study"),
            ("my_study.yaml n_trials=20", "yours, a key changed"),
            ("mnist 'question=[lr,batch_size]'", "then a grid of two"),
        ),
    ),
    "check": CommandHelp(
        "find every mistake before an hour is spent, and estimate the time",
        (("mnist", "a shipped study"), ("my_study.yaml", "one of your own")),
    ),
    "report": CommandHelp(
        "analyse a stored study again, without any training",
        (("mnist", "with its own config"), ("study_name=NAME storage.url=URL", "any Optuna study")),
    ),
    "retrain": CommandHelp(
        "train the chosen configuration in full, and test it once",
        (("mnist", "a study's best"), ("config=outputs/mnist/best.yaml", "the one in a file")),
    ),
    "dashboard": CommandHelp(
        "show the studies of a storage in a browser, by optuna-dashboard",
        (("mnist", "a study's storage"), ("storage.url=sqlite:///my.db", "any storage")),
    ),
    "list": CommandHelp(
        "list the studies of a storage, how far they are, and their best values",
        (("", "the default storage"), ("storage.url=sqlite:///my.db", "any storage")),
    ),
    "sampler_benchmark.record": CommandHelp(
        "write a finished grid as a table to compare samplers on",
        (("recorded_table", "the shipped grid"), ("my_grid.yaml", "one of your own")),
    ),
}
ARGUMENTS = """\
arguments:
  STUDY             a study by its name, or the path of a YAML file
  key=value         change a key of the config (+key=value adds one)
flags:
  --config-dir DIR  a folder with options of your own: DIR/study, DIR/model, ...
  --cfg job         print the composed config, and run nothing
  -m, --multirun    one run for each combination of values: n_trials=20,40
  --hydra-help      further flags
  --help-all        this command's whole config: each group, option and key
  --version         the versions of the packages"""


def brief_help(name: str) -> str:
    """Return the text of `--help` for the command `python -m studies.NAME`: examples first, on one screen."""
    command = COMMANDS[name]
    lines = [f"python -m studies.{name} {arguments}".rstrip() for arguments, _ in command.examples]
    width = max(map(len, lines))
    examples = [f"{line:{width}}  # {what}" for line, (_, what) in zip(lines, command.examples, strict=True)]
    summary = f"{command.summary[:1].upper()}{command.summary[1:]}."
    return "\n".join(
        [*examples, "", summary, "", ARGUMENTS, "", "What each key means stands beside it in", f"{config_dir()}"]
    )


def versions() -> str:
    """Return the versions of the packages behind a study. Import none of them."""
    found = [f"{name} {_version(name)}" for name in PACKAGES]
    return "\n".join([*(line for line in found if not line.endswith("None")), f"python {platform.python_version()}"])


def overview() -> str:
    """Return the commands, a line each."""
    width = max(map(len, COMMANDS))
    lines = [f"python -m studies.{name:{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(lines)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
