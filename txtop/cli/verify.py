"""`txtop verify`: whether a session is as its writer left it."""

from __future__ import annotations

from txtop.cli.common import SessionDirOption

MAX_SHOWN = 20


def verify(session: str, *, session_dir: SessionDirOption = None) -> int:
    """Check a session's lines, sequence, clocks and digest; says which line is wrong."""
    from txtop.sanitise import sanitise
    from txtop.session.catalog import get_session_id, resolve_session
    from txtop.session.verify import verify_log as check

    path = resolve_session(session, session_dir)
    found = check(path)
    for line, what in found.wrong[:MAX_SHOWN]:
        print(f"line {line}: {sanitise(what, 300)}")
    if found.wrong_count > MAX_SHOWN:
        print(f"and {found.wrong_count - MAX_SHOWN} more")
    facts = [_many(found.lines, "line"), _many(found.segments, "segment")]
    facts += [f"{found.unknown} of a kind that a newer txtop knows"] if found.unknown else []
    facts += [f"1 torn record at the end ({found.torn_bytes} bytes)"] if found.torn_bytes else []
    if found.digests:
        facts.append("the digest fits" if found.digests == 1 else f"{found.digests} digests fit")
    if not found.ended:
        facts.append("no end: it is running, or was cut off")
    word = "wrong" if found.wrong_count else "ok"
    print(f"{sanitise(get_session_id(path), 80)}: {word}, {', '.join(facts)}")
    print("integrity, not authenticity: who can write the file can write a digest that fits")
    return 1 if found.wrong_count else 0


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
