"""The commands. They wire the parts together, compute nothing and import nothing heavy."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from txtop import __version__, presets
from txtop.errors import SessionError, TxtopError, UsageError
from txtop.plan import Attention, Cache, Compile, Device, Precision, Weights

Theme = Annotated[str | None, Parameter(help="colour theme; t on the screen changes it")]
Fps = Annotated[float | None, Parameter(help="frames a second; 4, or 2 over SSH")]
Glyphs = Annotated[
    Literal["braille", "blocks", "ascii"] | None, Parameter(help="what plots are drawn with")
]
SessionDir = Annotated[Path | None, Parameter(help="where sessions live")]
OnHangup = Annotated[
    Literal["continue", "stop"] | None,
    Parameter(help="what the run does when the terminal goes; continue, or stop when headless"),
]
JsonFile = Annotated[
    str | None,
    Parameter(
        name="--json",
        allow_leading_hyphen=True,
        help="write the JSON export here; - is standard output",
    ),
]
Format = Literal["json", "jsonl", "csv", "md", "llama-bench", "optimum-benchmark", "benchmark_v2"]

app = App(
    name="txtop",
    version=f"txtop {__version__}",
    help="How fast a Transformers model really is, measured on this machine and shown live.",
    default_parameter=Parameter(consume_multiple=True, negative=()),
)


def run_command_line(arguments: list[str]) -> int:
    """Runs one command; the only place where errors become a line and an exit code."""
    debug = "--debug" in arguments
    arguments = [a for a in arguments if a != "--debug"]
    try:
        result = app(
            arguments, exit_on_error=False, print_error=False, result_action="return_value"
        )
        return result if isinstance(result, int) else 0
    except CycloptsError as error:
        if debug:
            raise
        return _say(_usage(error, arguments), 2)
    except TxtopError as error:
        if debug:
            raise
        return _say(str(error), error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if debug:
            raise
        return _say(f"{type(error).__name__}: {error} (--debug shows where)", 1)


def _say(text: str, code: int) -> int:
    from txtop.sanitise import sanitise

    print(f"txtop: {sanitise(text)}", file=sys.stderr)
    return code


def _usage(error: CycloptsError, arguments: list[str]) -> str:
    text = " ".join(str(error).split())
    commands = [name for name in app if not name.startswith("-")]
    first = arguments[0] if arguments else ""
    if text.startswith("Unused Tokens") and first not in commands:
        from difflib import get_close_matches

        near = get_close_matches(first, commands, 1)
        hint = f"Did you mean {near[0]}?" if near else f"Commands: {', '.join(commands)}."
        return f'Unknown command "{first}". {hint}'
    return text


@app.default
def home(
    *, session_dir: SessionDir = None, theme: Theme = None, fps: Fps = None, glyphs: Glyphs = None
) -> int:
    """The home screen: this machine, sessions, and a start for the quick preset."""
    _check_look(theme, fps)
    from txtop.ui.terminal import capabilities

    if not capabilities().screen:
        from txtop.headless import home_lines

        print(home_lines(session_dir), end="")
        return 0
    from txtop.ui.app import run_home

    path = run_home(session_dir=session_dir, theme=theme, fps=fps, glyphs=glyphs)
    return _closing(path, None) if path else 0


@app.command
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
        list[Compile] | None, Parameter(help="torch.compile; a load phase of its own")
    ] = None,
    cache: Annotated[list[Cache] | None, Parameter(help="the KV cache; default dynamic")] = None,
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
    preset: Annotated[
        presets.Name | None, Parameter(help="a plan with a name; options override it")
    ] = None,
    scale: Annotated[
        presets.Scale | None, Parameter(help="smoke: a preset within a minute")
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
    session_dir: SessionDir = None,
    json_file: JsonFile = None,
    headless: Annotated[bool, Parameter(help="plain lines instead of the screen")] = False,
    on_hangup: OnHangup = None,
    theme: Theme = None,
    fps: Fps = None,
    glyphs: Glyphs = None,
) -> int:
    """Measure models, live. Every combination of the lists is one cell."""
    _check_look(theme, fps)
    from txtop.asked import Asked, plan_of
    from txtop.ranges import numbers
    from txtop.ui.terminal import capabilities

    asked = Asked(
        models=models,
        precisions=precisions,
        attention=attention,
        batch_sizes=numbers("--batch-sizes", batch_sizes),
        sequence_lengths=numbers("--sequence-lengths", sequence_lengths),
        new_tokens=numbers("--new-tokens", new_tokens),
        threads=numbers("--threads", threads),
        compile=compile,
        cache=cache,
        device=device,
        weights=weights,
        iterations=iterations,
        warmup=warmup,
        budget_s=budget,
        timeout_s=timeout,
        cost_per_hour=cost_per_hour,
        seed=seed,
        preset=preset,
        scale=scale,
        allow_pickles=allow_pickles,
        trust_remote_code=trust_remote_code,
    )
    if plan_toml is not None:
        from txtop import plan_file

        asked = plan_file.over(plan_file.read(plan_toml), asked)
    plan = plan_of(asked, lambda line: print(f"txtop: {line}", file=sys.stderr))
    if save_plan is not None:
        from txtop import plan_file
        from txtop.headless import check_out, write_out

        check_out(save_plan)
        write_out(save_plan, plan_file.write(asked))
        return 0
    if headless or not capabilities().screen:
        from txtop.headless import run_headless

        return run_headless(
            plan,
            name=name,
            session_dir=session_dir,
            on_hangup=on_hangup or "stop",
            json_file=_json_target(json_file),
        )
    from txtop.ui.app import run_live

    target = _json_target(json_file)
    path = run_live(
        plan,
        name=name,
        session_dir=session_dir,
        fps=fps,
        theme=theme,
        glyphs=glyphs,
        on_hangup=on_hangup or "continue",
    )
    return _closing(path, target) if path else 1


@app.command
def replay(
    session: Annotated[
        str | None, Parameter(help="name, id or path; default a bundled one")
    ] = None,
    *,
    session_dir: SessionDir = None,
    theme: Theme = None,
    fps: Fps = None,
    glyphs: Glyphs = None,
) -> int:
    """Play a recorded session on the live screen."""
    _check_look(theme, fps)
    from txtop.session.find import bundled, resolve
    from txtop.ui.terminal import capabilities

    if session is None:
        shipped = bundled()
        if not shipped:
            raise SessionError("no bundled recording is installed", "name a session")
        path = shipped[-1]
    else:
        path = resolve(session, session_dir)
    if not capabilities().screen:
        from txtop.headless import replay_lines

        replay_lines(path)
        return 0
    from txtop.ui.app import run_replay

    run_replay(path, theme=theme, fps=fps, glyphs=glyphs)
    return 0


@app.command
def attach(
    session: Annotated[str | None, Parameter(help="default the newest one that is running")] = None,
    *,
    session_dir: SessionDir = None,
    theme: Theme = None,
    fps: Fps = None,
    glyphs: Glyphs = None,
) -> int:
    """Show a run that goes on, from any terminal of this machine."""
    _check_look(theme, fps)
    from txtop.headless import follow_lines, running
    from txtop.ui.terminal import capabilities

    path = running(session, session_dir)
    if not capabilities().screen:
        return follow_lines(path)
    from txtop.ui.app import run_follow

    run_follow(path, theme=theme, fps=fps, glyphs=glyphs)
    return _closing(path, None)


@app.command
def stop(
    session: Annotated[str | None, Parameter(help="default the newest one that is running")] = None,
    *,
    session_dir: SessionDir = None,
) -> int:
    """End a running session after the step at hand."""
    from txtop.headless import running
    from txtop.runner.client import Control
    from txtop.session.find import session_id

    path = running(session, session_dir)
    if not Control(path).send("stop"):
        raise SessionError(f"session {session_id(path)} does not answer", "it may have just ended")
    print(f"stopping {session_id(path)}", file=sys.stderr)
    return 0


@app.command
def sessions(*, session_dir: SessionDir = None) -> int:
    """List the recorded sessions, newest first, and the bundled ones."""
    from txtop.headless import session_lines

    print(session_lines(session_dir), end="")
    return 0


@app.command
def show(session: str, *, session_dir: SessionDir = None) -> int:
    """Print what the run printed at its end."""
    from txtop.headless import load
    from txtop.metrics import FinalMetrics
    from txtop.session.find import resolve
    from txtop.session.table import report

    state, problems = load(resolve(session, session_dir))
    for line in problems.lines():
        _say(line, 0)
    print(report(state, FinalMetrics()), end="")
    return 0


@app.command
def export(
    session: str | None = None,
    *,
    format: Annotated[
        Format,
        Parameter(help="of the export"),
    ] = "json",
    output: Annotated[
        str, Parameter(allow_leading_hyphen=True, help="a file; - is standard output")
    ] = "-",
    schema: Annotated[bool, Parameter(help="print the JSON Schema of the export instead")] = False,
    session_dir: SessionDir = None,
) -> int:
    """Write a session for other programs."""
    from txtop.headless import load, write_out

    if schema:
        import json

        from txtop.session.schema import json_schema

        print(json.dumps(json_schema(), indent=2))
        return 0
    if session is None:
        raise UsageError("export needs a session", "txtop sessions lists what is here")
    from txtop.metrics import FinalMetrics
    from txtop.session.find import resolve
    from txtop.session.formats import WRITERS

    state, problems = load(resolve(session, session_dir))
    for line in problems.lines():
        _say(line, 0)
    write_out(output, WRITERS[format](state, FinalMetrics()))
    return 0


@app.command
def doctor(
    *,
    json_lines: Annotated[bool, Parameter(name="--json", help="for programs")] = False,
    session_dir: SessionDir = None,
) -> int:
    """What this machine can measure, and why not the rest, one line each."""
    from txtop.doctor import examine, lines

    found = examine(session_dir)
    if json_lines:
        import json

        print(json.dumps({"capabilities": found}, indent=2))
    else:
        print("\n".join(lines(found)))
    return 0


@app.command
def selftest(
    *, overhead: Annotated[bool, Parameter(help="the same work bare and under the screen")] = False
) -> int:
    """The tool's own effect on the numbers."""
    if not overhead:
        raise UsageError("selftest needs a check", "--overhead")
    from txtop.selftest.overhead import run as run_overhead

    return run_overhead(say=lambda line: print(line, flush=True)).exit_code


def _closing(path: Path, json_file: str | None) -> int:
    """What a run prints when its screen was left."""
    from txtop.headless import closing

    return closing(path, json_file)


def _json_target(value: str | None) -> str | None:
    from txtop.headless import check_out

    if value is not None:
        check_out(value)
    return value


def _check_look(theme: str | None, fps: float | None) -> None:
    if fps is not None and not 0.1 <= fps <= 30:
        raise UsageError(f"--fps {fps:g} is not between 0.1 and 30")
    if theme is None:
        return
    from txtop.ui.themes import names

    known = names()
    if theme not in known:
        from difflib import get_close_matches

        near = get_close_matches(theme, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"themes: {', '.join(known)}"
        raise UsageError(f"no theme {theme!r}", hint)
