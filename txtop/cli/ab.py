"""`txtop ab`: two or more arms that take turns, until it is known which is faster."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from txtop.cli.common import (
    DetachOption,
    FpsOption,
    GlyphsOption,
    HeadlessOption,
    JsonFileOption,
    OnHangupOption,
    SessionDirOption,
    ThemeOption,
    check_display_options,
)
from txtop.plan.cell import Attention, Cache, Compile, Device, Precision, Weights
from txtop.plan.plan import Allowed

ARM_PARAMETER = Parameter(
    help="knobs of this arm: precision=bf16,threads=2", consume_multiple=False
)


def ab(
    model: Annotated[str, Parameter(help="a built-in name, local path, .gguf file, Hub name")],
    /,
    *,
    a: Annotated[str | None, ARM_PARAMETER] = None,
    b: Annotated[str | None, ARM_PARAMETER] = None,
    arm: Annotated[
        list[str] | None,
        Parameter(help="one more, each held against the first; repeat it", consume_multiple=False),
    ] = None,
    margin: Annotated[str, Parameter(help="the difference that matters; 2% or 0.02")] = "2%",
    budget: Annotated[
        float | None, Parameter(help="most seconds of measuring, all arms together; default 120")
    ] = None,
    blocks: Annotated[int | None, Parameter(help="measure exactly so many blocks")] = None,
    warmup: Annotated[
        int | None, Parameter(help="this many iterations; default until steady")
    ] = None,
    precision: Annotated[Precision | None, Parameter(help="of all arms; default fp32")] = None,
    attention: Annotated[Attention | None, Parameter(help="default sdpa")] = None,
    batch_size: Annotated[
        int | None, Parameter(name=("--batch-size", "--batch-sizes"), help="default 1")
    ] = None,
    sequence_length: Annotated[
        int | None,
        Parameter(name=("--sequence-length", "--sequence-lengths"), help="default 128"),
    ] = None,
    new_tokens: Annotated[int | None, Parameter(help="default 32")] = None,
    device: Annotated[Device | None, Parameter(help="default auto")] = None,
    threads: Annotated[int | None, Parameter(help="default all cores but one")] = None,
    compile: Annotated[Compile | None, Parameter(help="torch.compile")] = None,
    cache: Annotated[Cache | None, Parameter(help="the KV cache; default dynamic")] = None,
    weights: Annotated[Weights | None, Parameter(help="random: seeded")] = None,
    fidelity_positions: Annotated[
        int | None, Parameter(help="compared to tell what a faster arm costs; 0: none")
    ] = None,
    timeout: Annotated[float | None, Parameter(help="most seconds an arm may load")] = None,
    cost_per_hour: Annotated[float | None, Parameter(help="of this machine")] = None,
    seed: Annotated[int, Parameter(help="of inputs, random weights and the order")] = 0,
    allow_pickles: Annotated[bool, Parameter(help="read pickled weights")] = False,
    trust_remote_code: Annotated[bool, Parameter(help="run a repository's classes")] = False,
    name: Annotated[str | None, Parameter(help="of the session")] = None,
    session_dir: SessionDirOption = None,
    json_file: JsonFileOption = None,
    headless: HeadlessOption = False,
    detach: DetachOption = False,
    on_hangup: OnHangupOption = None,
    theme: ThemeOption = None,
    fps: FpsOption = None,
    glyphs: GlyphsOption = None,
) -> int:
    """Which arm is faster, by how much, and what it costs in quality; live."""
    check_display_options(theme, fps)
    from txtop.cli import start
    from txtop.options import ab as arms
    from txtop.options.parsing import parse_percentage

    shared: dict[str, Any] = {
        "precision": precision,
        "attention": attention,
        "batch_size": batch_size,
        "sequence_length": sequence_length,
        "new_tokens": new_tokens,
        "device": device,
        "threads": threads,
        "compile": compile,
        "cache": cache,
        "weights": weights,
    }
    given = [("--a", a), ("--b", b), *(("--arm", word) for word in arm or ())]
    rules = arms.ABOptions(
        margin=parse_percentage("--margin", margin),
        budget_s=budget,
        blocks=blocks,
        warmup=warmup,
        timeout_s=timeout,
        cost_per_hour=cost_per_hour,
        seed=seed,
        fidelity_positions=fidelity_positions,
        allowed=Allowed(pickles=allow_pickles, remote_code=trust_remote_code),
    )
    plan = arms.build_ab_plan(
        model,
        [arms.parse_arm(option, word) for option, word in given if word is not None],
        {knob: value for knob, value in shared.items() if value is not None},
        rules,
    )
    return start.run_plan(
        plan,
        name=name,
        session_dir=session_dir,
        json_file=json_file,
        headless=headless,
        detach=detach,
        on_hangup=on_hangup,
        theme=theme,
        fps=fps,
        glyphs=glyphs,
    )
