"""Rename and delete recorded sessions, and watch the room they take."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from txtop.errors import RunError, UsageError
from txtop.quantities import parse_size
from txtop.sanitise import sanitise
from txtop.session.catalog import get_session_id, get_sessions_dir, require_free_name
from txtop.session.repair import TORN_NAME
from txtop.session.writer import LOCK_NAME, LOG_NAME

CAP_VARIABLE = "TXTOP_SESSIONS_CAP_GB"
CAP_BYTES = 10_000_000_000
# Deleting removes these and no other file.
SESSION_FILES = (LOG_NAME, LOCK_NAME, TORN_NAME, "runner.log", "socket")


def require_owned(path: Path, folder: Path | None) -> Path:
    """Return `path` if it is a session in this user's own folder. Raises `UsageError`."""
    home = (folder or get_sessions_dir()).expanduser()
    if path.is_symlink() or path.resolve().parent != home.resolve():
        raise UsageError(
            f"{get_session_id(path)[:80]} is not in {home}",
            "only sessions of that folder are changed",
        )
    return path


def rename_session(path: Path, name: str) -> Path:
    """Rename a session and return its new path; the recording itself does not change.

    Raises `UsageError` for a name that is taken or not valid, `RunError` if renaming fails.
    """
    suffix = "" if path.is_dir() else path.name.removeprefix(get_session_id(path))
    require_free_name(name, path.parent)
    target = path.parent / (name + suffix)
    try:
        path.rename(target)
    except OSError as error:
        raise RunError(
            f"cannot rename {get_session_id(path)} ({error.strerror})", _explain_owner(path.parent)
        ) from None
    return target


def delete_session(path: Path) -> int:
    """Delete the files of a session and its folder, and return their size in bytes.

    Raises `RunError` if something cannot be deleted, such as a folder with other files in it.
    """
    size = compute_size_bytes(path)
    try:
        if path.is_dir():
            if not os.access(path.parent, os.W_OK | os.X_OK):
                # Or the files would be gone, and the folder left.
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path.parent))
            for part in SESSION_FILES:
                (path / part).unlink(missing_ok=True)
            path.rmdir()
        else:
            path.unlink()
    except OSError as error:
        hint = "it holds files of yours: move them"
        if error.errno != errno.ENOTEMPTY:
            hint = _explain_owner(path.parent if error.filename == str(path.parent) else path)
        raise RunError(f"cannot delete {path} ({error.strerror})", hint) from None
    return size


def _explain_owner(folder: Path) -> str:
    return f"this user needs leave to write in {folder}"


def compute_size_bytes(path: Path) -> int:
    """Return the size of a session on disk; links are not followed."""
    if not path.is_dir():
        return path.lstat().st_size if path.exists() else 0
    total = 0
    for part in SESSION_FILES:
        with suppress(OSError):
            total += (path / part).lstat().st_size
    return total


def _format_gb(size: int) -> str:
    """Format bytes in GB, in MB where there would be no digits left."""
    return f"{size / 1e9:.2f} GB" if size >= 1e7 else f"{size / 1e6:.1f} MB"


def format_cap_warning(total_bytes: int) -> str | None:
    """Return a warning if sessions take more room than the cap, else None. Nothing is deleted.

    Also warns of a cap that is no size.
    """
    text = os.environ.get(CAP_VARIABLE, "")
    cap_bytes = parse_size(text, bare="g") if text else CAP_BYTES
    if cap_bytes is None:
        return f"{CAP_VARIABLE}={sanitise(text, 40)} is left out: it takes GB, as 20 or 500MB"
    if total_bytes <= cap_bytes:
        return None
    return (
        f"sessions take {_format_gb(total_bytes)}, over {cap_bytes / 1e9:g} GB:"
        f" txtop sessions delete NAME makes room, {CAP_VARIABLE} moves the mark"
    )
