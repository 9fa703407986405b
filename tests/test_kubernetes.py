"""The manifest in docs/ is sound: it parses, its commands compose, its parts fit together, no secret stands in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from studies.cli.validation import CHECKS, storage_of
from studies.config.composing.configs import compose
from studies.config.parsing.settings import parse_settings

DOCS = Path(__file__).parents[1] / "docs"
MANIFEST = (DOCS / "kubernetes.yaml").read_text()
PARTS: list[dict[str, Any]] = list(yaml.safe_load_all(MANIFEST))
IN_PODS = "postgresql://studies:hunter2@postgresql:5432/studies"


def part(kind: str, name: str) -> dict[str, Any]:
    return next(part for part in PARTS if part["kind"] == kind and part["metadata"]["name"] == name)


def pod(kind: str, name: str) -> dict[str, Any]:
    spec: dict[str, Any] = part(kind, name)["spec"]["template"]["spec"]
    return spec


def arguments(kind: str, name: str) -> list[str]:
    (container,) = pod(kind, name)["containers"]
    args: list[str] = container["args"]
    return args


def test_everything_lies_in_one_namespace() -> None:
    kinds = {part["kind"] for part in PARTS}
    assert {"Namespace", "Job", "Deployment", "Service", "PersistentVolumeClaim", "NetworkPolicy"} == kinds
    assert {part["metadata"].get("namespace") for part in PARTS if part["kind"] != "Namespace"} == {"studies"}


def test_the_workers_command_is_admitted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STUDIES_STORAGE_URL", IN_PODS)
    module, *overrides = arguments("Job", "study")
    assert module == "studies.run"
    here = [o.replace("/outputs", str(tmp_path)) for o in overrides]
    settings = parse_settings(compose(here), checks=CHECKS)
    assert settings.storage.address == IN_PODS
    assert settings.workers == 1
    assert settings.launcher.name == "local"


def test_the_dashboards_command_composes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIES_STORAGE_URL", IN_PODS)
    module, *overrides = arguments("Deployment", "dashboard")
    config = compose(overrides)
    assert module == "studies.dashboard"
    assert storage_of(config).address == IN_PODS
    (port,) = part("Service", "dashboard")["spec"]["ports"]
    assert config.dashboard.port == port["port"]


def test_a_worker_has_time_to_free_its_trial_and_being_stopped_is_no_failure() -> None:
    assert pod("Job", "study")["terminationGracePeriodSeconds"] >= 30
    assert pod("Job", "study")["restartPolicy"] == "Never"  # what a podFailurePolicy needs
    rules = part("Job", "study")["spec"]["podFailurePolicy"]["rules"]
    actions = {rule["onExitCodes"]["values"][0]: rule["action"] for rule in rules if "onExitCodes" in rule}
    assert actions == {2: "FailJob", 130: "Ignore"}
    (container,) = pod("Job", "study")["containers"]
    assert {rule["onExitCodes"]["containerName"] for rule in rules if "onExitCodes" in rule} == {container["name"]}
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1


def test_what_is_mounted_claimed_and_selected_exists() -> None:
    claims = {part["metadata"]["name"] for part in PARTS if part["kind"] == "PersistentVolumeClaim"}
    apps = set()
    for workload in (part for part in PARTS if part["kind"] in ("Job", "Deployment")):
        spec = workload["spec"]["template"]["spec"]
        volumes = spec.get("volumes", [])
        mounted = {mount["name"] for container in spec["containers"] for mount in container.get("volumeMounts", [])}
        claimed = {v["persistentVolumeClaim"]["claimName"] for v in volumes if "persistentVolumeClaim" in v}
        assert mounted == {volume["name"] for volume in volumes}
        assert claimed <= claims
        apps.add(workload["spec"]["template"]["metadata"]["labels"]["app"])
    assert {part["spec"]["selector"]["app"] for part in PARTS if part["kind"] == "Service"} <= apps


def test_no_secret_stands_in_it_and_nothing_is_exposed() -> None:
    assert not [part for part in PARTS if part["kind"] in ("Secret", "Ingress", "ConfigMap")]
    assert not re.search(r"://[^\s{]*:[^\s{]*@", MANIFEST)
    types = [part["spec"].get("type", "ClusterIP") for part in PARTS if part["kind"] == "Service"]
    assert set(types) == {"ClusterIP"}
    workloads = [part for part in PARTS if part["kind"] in ("Job", "Deployment")]
    entries = [e for w in workloads for c in w["spec"]["template"]["spec"]["containers"] for e in c.get("env", [])]
    secret = [entry for entry in entries if re.search("PASSWORD|URL", entry["name"])]
    assert len(secret) == 3
    assert all(entry["valueFrom"]["secretKeyRef"]["name"] == "studies-storage" for entry in secret)


def test_the_page_tells_how_to_make_the_secret_and_names_the_files() -> None:
    page = (DOCS / "kubernetes.md").read_text()
    assert "create secret generic studies-storage" in page
    for key in ("--from-literal=password=", "--from-literal=url="):
        assert key in page
    assert (DOCS / "Dockerfile").exists()
