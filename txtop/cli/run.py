"""`txtop`, `txtop run` and `resume`: the home screen, a run of a plan, and the rest of one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

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
    check_detached,
    check_display_options,
    check_json_target,
    choose_plain_hangup,
    report_after_screen,
)
from txtop.options import presets
from txtop.plan.cell import Attention, Cache, Compile, Device, Precision, Weights
from txtop.plan.serving import Scenario


def home(
    *,
    demo: Annotated[
        bool, Parameter(help="play a recording that ships with txtop: no model is needed")
    ] = False,
    session_dir: SessionDirOption = None,
    theme: ThemeOption = None,
    fps: FpsOption = None,
    glyphs: GlyphsOption = None,
) -> int:
    """The home screen: this machine, sessions, and a start for the quick preset."""
    if demo:
        from txtop.cli.replay import replay

        return replay(theme=theme, fps=fps, glyphs=glyphs)
    check_display_options(theme, fps)
    from txtop.ui.terminal.capabilities import detect_capabilities

    if not detect_capabilities().screen:
        from txtop.cli.headless import format_home

        print(format_home(session_dir), end="")
        return 0
    from txtop.ui.launch import run_home

    path = run_home(session_dir=session_dir, theme=theme, fps=fps, glyphs=glyphs)
    return report_after_screen(path, None) if path else 0


def run(
    *,
    models: Annotated[
        list[str] | None, Parameter(help="built-in names, local paths, .gguf files, Hub names")
    ] = None,
    precisions: Annotated[list[Precision] | None, Parameter(help="default fp32")] = None,
    attention: Annotated[list[Attention] | None, Parameter(help="default sdpa")] = None,
    batch_sizes: Annotated[
        list[str] | None, Parameter(help="default 1; also 1,8,32 or 1-64*2 or 16-64+16")
    ] = None,
    sequence_lengths: Annotated[
        list[str] | None, Parameter(help="prompt tokens; T5: of the encoder; default 128")
    ] = None,
    new_tokens: Annotated[
        list[str] | None, Parameter(help="default 32; an encoder ignores it")
    ] = None,
    device: Annotated[
        Device | None, Parameter(help="default auto: the GPU where there is one")
    ] = None,
    threads: Annotated[
        list[str] | None, Parameter(help="of the model on a CPU; default all cores but one")
    ] = None,
    compile: Annotated[
        list[Compile] | None,
        # Else a `none` before other values is taken for nothing, and they for strays.
        Parameter(help="torch.compile; a load phase of its own", n_tokens=-1),
    ] = None,
    cache: Annotated[list[Cache] | None, Parameter(help="the KV cache; default dynamic")] = None,
    scenario: Annotated[
        list[Scenario] | None,
        Parameter(help="static: full batches; the others serve requests that come; default static"),
    ] = None,
    rate: Annotated[
        list[str] | None, Parameter(help="requests a second (Poisson); sweep: to past saturation")
    ] = None,
    concurrency: Annotated[
        list[str] | None,
        Parameter(help="clients that ask again when answered; default as many as fit a batch"),
    ] = None,
    requests: Annotated[int | None, Parameter(help="of each serving cell; default 150")] = None,
    max_batch: Annotated[
        int | None, Parameter(help="requests that are served at once; default 8")
    ] = None,
    max_wait_ms: Annotated[
        float | None, Parameter(help="dynamic: a batch waits so long for more; default 20")
    ] = None,
    lengths: Annotated[
        str | None,
        Parameter(help="of requests: fixed, uniform, lognormal, or a file of prompt,new a line"),
    ] = None,
    slo: Annotated[
        str | None, Parameter(help="what counts as goodput: ttft=200ms,tpot=50ms,e2e=2s")
    ] = None,
    iterations: Annotated[int | None, Parameter(help="measure exactly this many")] = None,
    warmup: Annotated[
        int | None, Parameter(help="this many iterations; default until steady")
    ] = None,
    budget: Annotated[
        float | None, Parameter(help="most seconds a cell may warm up and measure; default 30")
    ] = None,
    timeout: Annotated[
        float | None, Parameter(help="most seconds a cell may take, loading included")
    ] = None,
    cost_per_hour: Annotated[
        float | None, Parameter(help="of this machine: adds the cost of a million tokens")
    ] = None,
    weights: Annotated[
        Weights | None, Parameter(help="random: the real architecture, seeded")
    ] = None,
    seed: Annotated[int | None, Parameter(help="of inputs and random weights; default 0")] = None,
    fidelity_positions: Annotated[
        int | None, Parameter(help="compared to tell what a precision costs; default 2048, 0: none")
    ] = None,
    preset: Annotated[
        presets.PresetName | None, Parameter(help="a plan with a name; options override it")
    ] = None,
    scale: Annotated[
        presets.PresetScale | None, Parameter(help="smoke: a preset within a minute")
    ] = None,
    allow_pickles: Annotated[
        bool | None, Parameter(help="read pickled weights, which can run code")
    ] = None,
    trust_remote_code: Annotated[
        bool | None, Parameter(help="run the classes that a repository brings")
    ] = None,
    plan_toml: Annotated[
        Path | None, Parameter(name="--plan", help="a TOML file with these options")
    ] = None,
    save_plan: Annotated[
        str | None,
        Parameter(allow_leading_hyphen=True, help="write these options there and end"),
    ] = None,
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
    """Measure models, live. Every combination of the lists is one cell."""
    check_display_options(theme, fps)
    from txtop.cli import start
    from txtop.options.parsing import parse_numbers
    from txtop.options.run import RunOptions, build_plan

    asked = RunOptions(
        models=models,
        precisions=precisions,
        attention=attention,
        batch_sizes=parse_numbers("--batch-sizes", batch_sizes),
        sequence_lengths=parse_numbers("--sequence-lengths", sequence_lengths),
        new_tokens=parse_numbers("--new-tokens", new_tokens),
        threads=parse_numbers("--threads", threads),
        compile=compile,
        cache=cache,
        scenario=scenario,
        rate=rate,
        concurrency=parse_numbers("--concurrency", concurrency),
        requests=requests,
        max_batch=max_batch,
        max_wait_ms=max_wait_ms,
        lengths=lengths,
        slo=slo,
        device=device,
        weights=weights,
        iterations=iterations,
        warmup=warmup,
        budget_s=budget,
        timeout_s=timeout,
        cost_per_hour=cost_per_hour,
        seed=seed,
        fidelity_positions=fidelity_positions,
        preset=preset,
        scale=scale,
        allow_pickles=allow_pickles,
        trust_remote_code=trust_remote_code,
    )
    if plan_toml is not None:
        from txtop.options import plan_file

        asked = plan_file.merge_options(plan_file.read_plan_file(plan_toml), asked)
    plan = build_plan(asked, lambda line: print(f"txtop: {line}", file=sys.stderr))
    if save_plan is not None:
        from txtop.cli.output import check_output, write_output
        from txtop.options import plan_file

        check_output(save_plan)
        write_output(save_plan, plan_file.encode_plan_file(asked))
        return 0
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


def resume(
    session: Annotated[
        str | None, Parameter(help="default the newest one that was interrupted")
    ] = None,
    *,
    session_dir: SessionDirOption = None,
    json_file: JsonFileOption = None,
    headless: HeadlessOption = False,
    detach: DetachOption = False,
    on_hangup: OnHangupOption = None,
    theme: ThemeOption = None,
    fps: FpsOption = None,
    glyphs: GlyphsOption = None,
) -> int:
    """Finish an interrupted session: measure what is missing, in the same recording."""
    check_display_options(theme, fps)
    from txtop.cli import headless as plain
    from txtop.cli import session_args
    from txtop.runner import spawn
    from txtop.ui.terminal.capabilities import detect_capabilities

    path = session_args.find_resumable_session(session, session_dir)
    target = check_json_target(json_file)
    if not session_args.is_incomplete(path):
        print(f"txtop: nothing of {path.name} is missing", file=sys.stderr)
        return report_after_screen(path, target)
    if detach:
        check_detached(json_file, headless, on_hangup)
        return plain.announce_detached_run(spawn.resume_run(path))
    if headless or not detect_capabilities().screen:
        hangup = choose_plain_hangup(on_hangup)
        launched = spawn.resume_run(path, on_hangup=hangup)
        return plain.run_headless(launched, on_hangup=hangup, json_file=target)
    from txtop.ui.launch import run_resumed

    run_resumed(path, fps=fps, theme=theme, glyphs=glyphs, on_hangup=on_hangup)
    return report_after_screen(path, target)
