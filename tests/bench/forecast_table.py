"""Hold the forecast of memory against the measured peak of every cell of three presets.

The presets `precision`, `families` and `batch-tradeoff` run at smoke scale, as typed. The forecast
is the one of the table of cells before anything ran.
`forecast_table.py [PRESET ...]`; exits 1 if one is off by over 10 %, or a cell has no peak.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from txtop.forecast.memory import MIB, forecast_memory
from txtop.plan.labels import format_short_label
from txtop.session.reader import read_all
from txtop.state.fold import fold_all

PRESETS = ("precision", "families", "batch-tradeoff")
MOST_AWAY = 0.10


def run_preset(folder: Path, preset: str) -> bool:
    """Run a preset and print a row for each cell. Return True if every forecast is near enough."""
    command = [
        sys.executable, "-m", "txtop", "run", "--preset", preset, "--scale", "smoke", "--headless",
        "--weights", "random", "--session-dir", str(folder), "--name", preset,
    ]  # fmt: skip
    subprocess.run(command, capture_output=True)
    are_near = True
    for own in fold_all(read_all(folder / preset)[0]).cells.values():
        forecast, label = forecast_memory(own.cell), format_short_label(own.cell)
        if forecast is None or not own.peak_bytes:
            print(f"| {preset} | {label} | {own.status} | | | WRONG")
            are_near = False
            continue
        away = forecast.peak_bytes / own.peak_bytes - 1
        row = (
            f"| {preset} | {label} | {forecast.peak_bytes / MIB:,.0f} |"
            f" {own.peak_bytes / MIB:,.0f} | {away:+.1%} |"
        )
        is_near = abs(away) <= MOST_AWAY
        print(row if is_near else f"{row} WRONG", flush=True)
        are_near &= is_near
    return are_near


def main() -> int:
    print("| preset | cell | forecast MiB | peak | |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        rows = [run_preset(Path(folder), preset) for preset in sys.argv[1:] or PRESETS]
    return int(not all(rows))


if __name__ == "__main__":
    sys.exit(main())
