"""The options of `launcher=local` and `launcher=serial`, checked and parsed."""

from __future__ import annotations

from studies.config.parsing.limits import MOST_WORKERS, shown
from studies.config.settings import Named, StudySettings
from studies.errors import Problems, nearest
from studies.launch.local.device_slots import DeviceRequest

OPTIONS = {
    "local": ("threads_per_worker", "slots_per_device", "devices_per_trial", "isolation"),
    "serial": ("devices_per_trial",),
}
ISOLATION = ("worker", "process")


def device_request(settings: StudySettings) -> DeviceRequest:
    """Return what a checked study asks of the devices of this machine."""
    options = settings.launcher.options
    threads = options.get("threads_per_worker", "auto")
    return DeviceRequest(
        n_trials=settings.n_trials,
        workers=settings.workers,
        threads_per_worker=None if threads == "auto" else int(threads),
        slots_per_device=int(options.get("slots_per_device", 1)),
        devices_per_trial=settings.devices_per_trial,
        on_cpu=settings.trainer.get("accelerator") == "cpu",
    )


def check_local(launcher: Named, problems: Problems) -> None:
    """Add unknown options, wrong values, and options that exclude each other to `problems`."""
    known = OPTIONS.get(launcher.name, ())
    for option in launcher.options:
        if option not in known:
            problems.unknown(f"launcher.{option}", f"is not an option of {launcher.name}", known)
    threads = launcher.options.get("threads_per_worker", "auto")
    if threads != "auto":
        _check_count("threads_per_worker", threads, problems, otherwise="auto or ")
    isolation = launcher.options.get("isolation", "worker")
    if isolation not in ISOLATION:
        problems.add("launcher.isolation", f"is {isolation!r}", nearest(str(isolation), ISOLATION))
    counts = {key: launcher.options.get(key, 1) for key in ("slots_per_device", "devices_per_trial")}
    for key, value in counts.items():
        _check_count(key, value, problems)
    if all(_is_count(value) and value > 1 for value in counts.values()):
        complaint = f"is {counts['slots_per_device']} but devices_per_trial is {counts['devices_per_trial']}"
        remedy = "give 1 for one of them: trials on several devices do not share these"
        problems.add("launcher.slots_per_device", complaint, remedy)


def _check_count(option: str, value: object, problems: Problems, *, otherwise: str = "") -> None:
    if not _is_count(value):
        problems.add(f"launcher.{option}", f"is {shown(value)}", f"give {otherwise}a whole number of at least 1")
    elif isinstance(value, int) and value > MOST_WORKERS:
        problems.add(f"launcher.{option}", f"is {value}", f"give {otherwise}a whole number of at most {MOST_WORKERS}")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
