"""The fixed settings of the parts of a hypothesis, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from studies.hypotheses.conclusion import PartTrials
from studies.reporting.finding import Block, Paragraph, Table
from studies.storage.identity import fixed_config
from studies.text.wording import NONE

NOT_SHOWN = ("_convert_", "_partial_", "data_dir", "eval_batch_size", "fused", "eps")  # of what was held fixed


def held_fixed(parts: Sequence[PartTrials]) -> Iterator[Block]:
    """Yield a table of the fixed settings in which parts differ, and one of the common ones."""
    each = [_held(part) for part in parts]
    keys = list(dict.fromkeys(key for held in each for key in held))
    values = {key: [held.get(key, NONE) for held in each] for key in keys}
    common = [(key, found[0]) for key, found in values.items() if len(set(found)) == 1]
    apart = [(key, *found) for key, found in values.items() if len(set(found)) > 1]
    if apart:
        yield Table(("setting", *(part.name for part in parts)), tuple(apart))
        yield Paragraph("In all parts:")
    yield Table(("setting", "value"), tuple(common))


def _held(part: PartTrials) -> dict[str, str]:
    """Return the settings of model, data and budget that no parameter varied."""
    settings = part.settings
    varied = [path for parameter in settings.space for path in parameter.paths]
    config = fixed_config(settings.template)
    flat = [*_flat(config.get("model"), "model"), *_flat(config.get("datamodule"), "datamodule")]
    kept = {key: str(value) for key, value in flat if not any((key + ".").startswith(path + ".") for path in varied)}
    budget = settings.budget
    return {"budget": f"{budget.amount:g} {budget.unit}", **kept}


def _flat(node: object, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key not in NOT_SHOWN:
                yield from _flat(value, f"{path}.{key}")
    else:
        yield path, node
