"""A name means one thing: no two public classes share one."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import studies
from studies.analysis import levels

STUDIES = Path(studies.__file__).parent


def test_no_public_class_name_is_defined_twice() -> None:
    places = defaultdict(list)
    for path in sorted(STUDIES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(STUDIES)))
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def test_a_statistical_threshold_has_one_place() -> None:
    names = {name for name in vars(levels) if name.isupper()}
    places = [
        f"{path.relative_to(STUDIES)}: {target.id}"
        for path in sorted(STUDIES.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id in {*names, "RISK", "SURE", "MIN_TRIALS"}
        if path != Path(str(levels.__file__))
    ]
    assert places == []
