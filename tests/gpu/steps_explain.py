"""Call 4: where the time of a step goes on a GPU, and if its parts are what they say."""

from __future__ import annotations

from gpu import checks_explain as checks
from gpu.figures import Finding
from gpu.running import Site
from gpu.step import Step, save_text
from gpu.steps_plain import table, weights


def choose_lengths(site: Site, model: str) -> list[str]:
    """Return the lengths that the small models of a rehearsal can take."""
    if not site.rehearsal:
        return []
    tokens = ["--new-tokens", "8"] if model == "gpt2" else []
    return ["--sequence-length", "8", *tokens]


def check_explanation(site: Site) -> list[Finding]:
    findings: list[Finding] = []
    for model in ("gpt2", "bert-base-uncased"):
        run = site.txtop(
            "explain", site.model(model), "--precision", "bf16" if site.cuda else "fp32",
            *weights(site), *choose_lengths(site, model), profile=True,
        )  # fmt: skip
        if run.export is not None:
            findings += checks.judge_explanation(model, run.export)
        findings += [*table(run.done.out), checks.judge_end(model, run.done.code)]
        save_text(site.out, f"explain-{model}.txt", run.done.out)
    return findings


STEPS = (Step("4.1 explain", 240, check_explanation),)
