"""`question.yaml`: the designed study that answers a question, as a study file of its own.

It rests on no other file of the user's. Of the search's config it has what differs from the defaults, references
unresolved. Sampler, pruner, selection, points to try first and early ends are those of a grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from omegaconf import DictConfig, OmegaConf

from studies.config.parsing.settings import COMMAND_KEYS
from studies.config.resolvers import texts
from studies.config.space import SearchSpace
from studies.errors import BadInput, Problem
from studies.reporting.sections.next_round.space_yaml import entry_lines
from studies.secrets.masking import LEFT_OUT, to_be_given, without_secrets
from studies.text.printable import printable

FILE = "question.yaml"
GROUPS = ("model", "datamodule", "trainer", "storage", "launcher")  # replaced as a whole where they differ
RUN = ("workers", "timeout_s")  # of a command, and no part of the file unless written there by hand
OWN = (  # keys that the design decides
    *("study_name", "output_dir", "mode", "n_trials", "replicates", "search_space", "sampler", "pruner", "select"),
    *RUN,
    *("analysis", "enqueue", "import_from", "stop_at", "resume", "hypothesis", "question", *COMMAND_KEYS),
)
INDENT = "  "


@dataclass(frozen=True, slots=True)
class QuestionStudy:
    """A grid as a study. Its folder is written only if that of the search is not the default. `notes` come first."""

    name: str
    output_dir: str
    space: SearchSpace
    replicates: int
    notes: Sequence[str] = ()


def question_yaml(study: QuestionStudy, config: DictConfig, usual: DictConfig) -> str:
    """Return the text of the file. `config` is that of the search, `usual` that of no study.

    Raises `BadInput` if the config holds a secret as a plain text.
    """
    written, default = (OmegaConf.to_container(one, resolve=False) for one in (config, usual))
    assert isinstance(written, dict)
    assert isinstance(default, dict)
    changed = {key: value for key, value in written.items() if key not in OWN and value != default.get(key)}
    kept = to_be_given(changed, written)
    _refuse_secrets(changed, kept, study.space)
    own = {"study_name": study.name, "output_dir": study.output_dir}
    own = {key: value for key, value in own.items() if key != "output_dir" or written[key] != default[key]}
    options = {"search_space": "empty", "sampler": "grid", "pruner": "none"}
    options |= {group: "null" for group in GROUPS if group in kept}
    lines = [
        "# @package _global_",
        *(f"# {printable(note, one_line=True)}" for note in study.notes),
        "defaults:",
        *(f"{INDENT}- override /{group}: {option}" for group, option in options.items()),
        "",
        OmegaConf.to_yaml(OmegaConf.create(own)) + f"replicates: {study.replicates}",
        "search_space:",
        *(INDENT + line for parameter in study.space for line in entry_lines(parameter)),
        "",
        OmegaConf.to_yaml(OmegaConf.create(kept)) if kept else "",
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _refuse_secrets(changed: object, kept: object, space: SearchSpace) -> None:
    """Raise `BadInput` for secrets, which no file shall hold."""
    problems = [*_lost(changed, kept)]
    for parameter in space:
        if without_secrets(dict(parameter.choices)) != dict(parameter.choices):
            problems.append(_of_secret(f"search_space.{parameter.name}.choices"))
    if problems:
        raise BadInput(problems)


def _lost(changed: object, kept: object) -> Iterator[Problem]:
    for (key, text), (_, left) in zip(texts(changed), texts(kept), strict=True):
        if left == LEFT_OUT != text:
            yield _of_secret(key)


def _of_secret(key: str) -> Problem:
    return Problem(key, f"holds a secret, which {FILE} leaves out", "give it as ${oc.env:NAME}, and export NAME")
