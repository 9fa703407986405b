"""The command for the next round of a study: the command of this round, with the next space and a new name."""

from __future__ import annotations

import re
from pathlib import Path

from hydra.core.hydra_config import HydraConfig

from studies.config.composing.configs import given_overrides
from studies.config.composing.own_options import BY_PATH, SCHEME
from studies.reporting.sections.next_round.space_yaml import GROUP, OPTION
from studies.secrets.texts import masked
from studies.text.quoting import argument, command_line, in_quotes
from studies.text.wording import nearby

DROPPED = re.compile(r"[+~]*(study_name|search_space|import_from|resume|output_dir|enqueue)\b")
ROUND = re.compile(r"^(.*)-round(\d+)$")


def next_command(study_name: str, output_dir: Path, *, imports: bool) -> str:
    """Return the command. It uses the next search space in the study's output folder.

    Name, space, enqueued points and output folder of this round are left out. With `imports`, the next round imports
    the trials that fit.
    """
    given = HydraConfig.get() if HydraConfig.initialized() else None
    asked = given_overrides() if given is not None else [f"+study={study_name}"]
    sources = given.runtime.config_sources if given is not None else []
    theirs = [str(source.path) for source in sources if source.schema == SCHEME]
    files = [path for path in theirs if not Path(path).is_dir()]  # studies that were named by their path
    folders = [path for path in theirs if path not in files]
    kept = [override for override in asked if not DROPPED.match(override)]
    kept = [override for override in kept if not (files and override.startswith(f"+{BY_PATH}="))]
    named = [f"{GROUP}={OPTION}", argument("study_name", _next_name(study_name))]
    origin = [argument("import_from", study_name)] if imports else []
    config_dir = [nearby(Path(folders[0]))] if folders else [str(output_dir)]
    searched = [f"hydra.searchpath=[{in_quotes(f'file://{output_dir.resolve()}')}]"] if folders else []
    words = ["--config-dir", *config_dir, *(nearby(Path(file)) for file in files)]
    return command_line("run", *words, *map(masked, kept), *named, *origin, *searched)


def _next_name(name: str) -> str:
    match = ROUND.match(name)
    return f"{match[1]}-round{int(match[2]) + 1}" if match else f"{name}-round2"
