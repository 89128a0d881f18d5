"""Call 1: is the plain path true?"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from gpu import checks_plain as checks
from gpu.figures import PRINTED, Finding, fact
from gpu.running import ROOT, Site, Skip, alternate
from gpu.step import Step, save_text

GPU_TESTS = "tests/process/test_worker_device.py"
GRID = ("gpt2", "bert-base-uncased", "t5-small")


def nvidia_smi(site: Site, *arguments: str) -> str:
    """Return what nvidia-smi prints, "" where there is none."""
    if shutil.which("nvidia-smi") is None:
        return ""
    return site.run(["nvidia-smi", *arguments], limit_s=30).out


def check_environment(site: Site) -> list[Finding]:
    text = nvidia_smi(site, "-q")
    save_text(site.out, "nvidia-smi-1.txt", text)
    facts = site.program("environment")
    findings = checks.judge_environment(facts)
    findings.append(fact("versions", True, json.dumps(facts)))
    wanted = r"Product Name|Driver Version|MIG Mode|Compute Mode|Persistence Mode|Power Limit"
    lines = [re.sub(r"\s+", " ", x).strip() for x in text.splitlines() if re.search(wanted, x)]
    return [*findings, *(fact("nvidia-smi", True, line) for line in dict.fromkeys(lines))]


def check_doctor(site: Site) -> list[Finding]:
    done = site.run([sys.executable, "-m", "txtop", "doctor", "--json"])
    capabilities = json.loads(done.out)["capabilities"]
    devices = site.program("environment")["devices"] if site.cuda else []
    findings = checks.judge_doctor(capabilities, devices[0]["name"] if devices else "")
    lines = [f"{c['state']} {c['capability']}: {c['detail']}" for c in capabilities]
    return [*findings, *(fact("doctor", True, line) for line in lines)]


def check_nvml(site: Site) -> list[Finding]:
    if site.rehearsal:
        timings = site.program(
            "nvml", "--readings", "3", "--seconds", "0.2", **_scripted(site.work)
        )
    else:
        timings = site.program("nvml")
    return checks.judge_nvml(timings)


def _scripted(folder: Path) -> dict[str, str]:
    """Build the scripted NVML of the tests and return its environment."""
    source = ROOT / "tests" / "support" / "nvml" / "fake_nvml.c"
    compiler = shutil.which("cc")
    if compiler is None:
        raise Skip("no C compiler for the scripted NVML")
    place = folder / "nvml"
    place.mkdir(exist_ok=True)
    library = place / "libnvidia-ml.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    (place / "scenario").write_text("gpu GPU-1111 Fake H100\n")
    return {"LD_LIBRARY_PATH": str(place), "FAKE_NVML_SCENARIO": str(place / "scenario")}


def check_tests(site: Site) -> list[Finding]:
    # The project's own settings name plugins that this machine may not have.
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(ROOT)]
    command += ["-p", "no:cacheprovider", "--import-mode=importlib", "-m", "cuda", GPU_TESTS]
    path = os.pathsep.join([str(ROOT / "tests"), site.environment()["PYTHONPATH"]])
    done = site.run(command, PYTHONPATH=path)
    passed, failed = count_tests(done.out)
    findings = checks.judge_tests(passed, failed)
    return [*findings, *(fact("pytest", True, x) for x in done.lines[-3 if not failed else -12 :])]


def count_tests(text: str) -> tuple[int, int]:
    """Return how many tests of a run of pytest passed, and failed or could not run."""
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|errors?)\b", text)}
    return counts.get("passed", 0), sum(n for word, n in counts.items() if word != "passed")


def _generate(site: Site, *options: str, program: str = "generate") -> Any:
    length = str(site.scale(32, 8))
    arguments = ["--device", site.device, "--model", site.model("gpt2"), "--length", length]
    arguments += ["--tokens", length, "--iterations", str(site.scale(16, 3)), *options]
    return site.program(program, *arguments)


def check_residue(site: Site) -> list[Finding]:
    arms = {
        name: partial(_generate, site, "--profile", name, "--streamer")
        for name in ("none", "cpu", "cuda")
    }
    return checks.judge_residue(alternate(arms))


def check_overhead(site: Site) -> list[Finding]:
    arms = {
        "bare": partial(_generate, site),
        "streamer": partial(_generate, site, "--streamer"),
        "worker": partial(_generate, site, program="worker"),
        "sampler": partial(_generate, site, "--sampler", program="worker"),
    }
    return checks.judge_overhead(alternate(arms))


def check_grid(site: Site) -> list[Finding]:
    precisions = ["fp32", "bf16"] if site.rehearsal else ["fp32", "fp16", "bf16"]
    batches = ["1", "2"] if site.rehearsal else ["1", "8", "32"]
    run = site.txtop(
        "run", "--models", *map(site.model, GRID), "--precisions", *precisions,
        "--batch-sizes", *batches, "--warmup", "3", "--iterations", str(site.scale(10, 3)),
        "--fidelity-positions", str(site.scale(64, 16)), *weights(site), *short(site),
    )  # fmt: skip
    expected = len(GRID) * len(precisions) * len(batches)
    findings = [fact("exit code", run.done.code == 0, run.done.code)]
    findings += checks.judge_grid(run.cells, run.events, expected, site.device)
    return [*findings, *table(run.done.out)]


def weights(site: Site) -> list[str]:
    """Return the option for random weights, which the small folders do not need."""
    return [] if site.rehearsal else ["--weights", "random"]


def short(site: Site) -> list[str]:
    """Return the lengths that the small models of a rehearsal can take."""
    return ["--sequence-lengths", "8", "--new-tokens", "8"] if site.rehearsal else []


def table(text: str) -> list[Finding]:
    """Return the printed report of a run as findings, so that the log of a call has it."""
    return [fact(PRINTED, True, line) for line in text.splitlines() if line.strip()]


def check_energy(site: Site) -> list[Finding]:
    run = site.txtop(
        "run", "--models", site.model("gpt2"), "--precisions", "bf16",
        "--batch-sizes", str(site.scale(32, 1)), "--budget", str(site.scale(25, 2)),
        *weights(site), *short(site),
    )  # fmt: skip
    return [*checks.judge_energy(run.cells, run.events), *table(run.done.out)]


STEPS = (
    Step("1.1 environment", 40, check_environment, anywhere=True),
    Step("1.2 doctor", 60, check_doctor, anywhere=True),
    Step("1.3 NVML", 50, check_nvml),
    Step("1.4 the tests marked cuda", 110, check_tests, rehearsed=False),
    Step("1.7 models, precisions, batches", 200, check_grid),
    Step("1.5 residue of the profiler", 120, check_residue),
    Step("1.6 streamer, worker, sampler", 160, check_overhead),
    Step("1.8 energy", 60, check_energy),
)
