"""`txtop verify`: a check that a session is as its writer left it."""

from __future__ import annotations

from pathlib import Path

from txtop.cli.common import SessionArgument, SessionDirOption

MAX_SHOWN = 20


def verify(session: SessionArgument, *, session_dir: SessionDirOption = None) -> int:
    """Check a session's lines, sequence, clocks and digest, and print the lines that are wrong."""
    from txtop.cli.session_args import resolve_sessions

    codes = [_verify_log(named.path) for named in resolve_sessions(session, session_dir)]
    print("integrity, not authenticity: who can write the file can write a digest that fits")
    return max(codes)


def _verify_log(path: Path) -> int:
    """Check one log. Return 1 if lines are wrong."""
    from txtop.formatting import format_count
    from txtop.sanitise import sanitise
    from txtop.session.catalog import get_session_id
    from txtop.session.verify import verify_log

    result = verify_log(path)
    for line, problem in result.wrong[:MAX_SHOWN]:
        print(f"line {line}: {sanitise(problem, 300)}")
    if result.wrong_count > MAX_SHOWN:
        print(f"and {result.wrong_count - MAX_SHOWN} more")
    facts = [format_count(result.lines, "line"), format_count(result.segments, "segment")]
    facts += [f"{result.unknown} of a kind that a newer txtop knows"] if result.unknown else []
    facts += [f"1 torn record at the end ({result.torn_bytes} bytes)"] if result.torn_bytes else []
    if result.digests:
        facts.append("the digest fits" if result.digests == 1 else f"{result.digests} digests fit")
    if not result.ended:
        facts.append("no end: it is running, or was cut off")
    verdict = "wrong" if result.wrong_count else "ok"
    print(f"{sanitise(get_session_id(path), 80)}: {verdict}, {', '.join(facts)}")
    return 1 if result.wrong_count else 0
