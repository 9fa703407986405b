"""How long the commands take that train nothing, and the main job.

python benchmarks/start.py [repeats]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

COMMANDS = {"--cfg job": ("+study=mnist", "--cfg", "job"), "--help": ("--help",)}
TARGET_S, TARGET_STUDY_S, TARGET_ACCURACY = 1.5, 180, 0.94


def seconds(*arguments: str) -> tuple[float, str]:
    """Seconds of the run command, and what it prints."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "studies.run", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - begun, done.stdout


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for name, arguments in COMMANDS.items():
        taken = median(seconds(*arguments)[0] for _ in range(repeats))
        print(f"{name}: {taken:.2f} s   target < {TARGET_S} s")
    with tempfile.TemporaryDirectory() as folder:
        places = (f"output_dir={folder}/out", f"storage.url=sqlite:///{folder}/s.db")
        taken, output = seconds("+study=mnist", *places, f"datamodule.data_dir={Path('data').resolve()}")
    headline = next(line for line in output.splitlines() if line.startswith("Selected"))
    print(f"+study=mnist: {taken:.0f} s   target < {TARGET_STUDY_S} s, accuracy ≥ {TARGET_ACCURACY}")
    print(f"  {headline}")


if __name__ == "__main__":
    main()
