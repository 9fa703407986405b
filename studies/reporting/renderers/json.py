"""Findings in JSON, for programs: `report.json`.

Keys: `version` (1), `study`, `findings`. Each finding has `title`, `level` (`ok | caution | unreliable | info`),
`headline` (sentences) and `blocks`. A block has a `kind` (`paragraph | bullets | heading | command | table | drawing |
file | reference`) and the fields of its class in `studies.reporting.finding`. A drawing or a file has its `path` below
the output folder instead of its content.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from studies.reporting.finding import Block, Drawing, File, Finding, Reference
from studies.reporting.layout import Layout

VERSION = 1


def report(findings: Sequence[Finding], layout: Layout) -> str:
    """Return the document. Its keys are listed at the top of this file."""
    document = {
        "version": VERSION,
        "study": layout.title,
        "findings": [
            {
                "title": finding.title,
                "level": finding.level,
                "headline": finding.headline,
                "blocks": [_block(block, layout) for block in finding.blocks],
            }
            for finding in findings
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _block(block: Block, layout: Layout) -> dict[str, Any]:
    kind = type(block).__name__.lower()
    match block:
        case Drawing():
            path = layout.picture_of(block)
            return {"kind": kind, "caption": block.caption, "path": path, "numbers": path.removesuffix("png") + "csv"}
        case File(label, name):
            return {"kind": kind, "label": label, "path": name}
        case Reference(label, where):
            return {"kind": kind, "label": label, "path": str(where)}
        case _:
            return {"kind": kind, **dataclasses.asdict(block)}
