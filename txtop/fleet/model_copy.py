"""Model directories for the places of a fleet: what each lacks, by its engine's standard input.

A place needs sh, tar, mktemp and sha256sum, and no txtop for it. A directory has the path there
that it has here.
"""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from txtop.errors import UsageError
from txtop.fleet.places import RemotePlace
from txtop.fleet.remote import (
    NOTHING_STARTED,
    PlaceReply,
    build_reply,
    require_replies,
    run_all,
    start_process,
)
from txtop.formatting import format_count, format_size
from txtop.models.model_config import find_local_path
from txtop.models.model_path import is_path
from txtop.options.run_options import RunOptions
from txtop.plan.speculation import get_assistant

CHUNK_BYTES = 1 << 20
# What is there of the files that are named, each with its digest.
LIST_SCRIPT = """cd "$1" 2>/dev/null || exit 0
shift; for f; do [ ! -f "$f" ] || sha256sum "$f"; done
"""
# A copy that breaks leaves the files of the directory as they were. Places may share a disk.
UNPACK_SCRIPT = """set -e
mkdir -p "$1"; d=$(cd "$1" && pwd); p=$(mktemp -d "$d/.part.XXXXXX")
trap 'rm -rf "$p"' EXIT
trap 'exit 1' HUP INT TERM
tar -x -f - -C "$p"
cd "$p"
find . -type f | while IFS= read -r f; do
  mkdir -p "$d/$(dirname "$f")"; mv "$f" "$d/$f"
done
"""


@dataclass(frozen=True)
class ModelFiles:
    """The files of a local model: the directory as it was typed, and paths and digests by name."""

    folder: str
    paths: Mapping[str, Path]
    digests: Mapping[str, str]


def list_local_models(options: RunOptions) -> list[str]:
    """Return the models of a run that are paths; the assistants of speculation too.

    Raises `UsageError` if there are none, or for one that is another path elsewhere.
    """
    given = options.given()
    assistants = (get_assistant(text) for text in map(str, given.get("speculative") or ()))
    named = [*(given.get("models") or ()), *filter(None, assistants)]
    paths = list(dict.fromkeys(name for name in map(str, named) if is_path(name)))
    if not paths:
        raise UsageError("--sync-model: no model is a path", "as --models ./model")
    if tilde := next((path for path in paths if path.startswith("~")), None):
        raise UsageError(
            f"--sync-model: {tilde[:80]} means another folder on each machine",
            "give an absolute path",
        )
    return paths


def read_model_files(model: str) -> ModelFiles:
    """Read the names and digests of a model's files.

    Raises `UsageError` if the model is no directory or .gguf file of this machine.
    """
    path = find_local_path(model)
    if path is None:
        raise UsageError(f"--sync-model: {model[:80]} is no model directory here", "leave it out")
    if path.is_file():
        paths = {path.name: path}
        folder = str(Path(model).parent)
    else:
        inside = sorted(own for own in path.rglob("*") if own.is_file())
        paths = {str(own.relative_to(path)): own for own in inside}
        folder = model
    return ModelFiles(folder, paths, {name: _hash(own) for name, own in paths.items()})


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_models(
    places: Sequence[RemotePlace], models: Sequence[str], tell: Callable[[str], None]
) -> None:
    """Copy to every place what it lacks of the models, and say what that is, before it is copied.

    Raises `UsageError` with the words of every place to which something cannot be copied.
    """
    for files in map(read_model_files, models):
        _sync_model(places, files, tell)


def _sync_model(
    places: Sequence[RemotePlace], files: ModelFiles, tell: Callable[[str], None]
) -> None:
    lacking = list_lacking(places, files)
    for place, names in lacking.items():
        size = sum(files.paths[name].stat().st_size for name in names)
        count = format_count(len(names), "file")
        tell(f"{place.label:<12} lacks {count} of {files.folder}, {format_size(size)}: copying")
    if lacking:
        require_replies(_send_files(lacking, files), NOTHING_STARTED)


def list_lacking(places: Sequence[RemotePlace], files: ModelFiles) -> dict[RemotePlace, list[str]]:
    """Return the names of the files that each place lacks, or has with other contents.

    A place that lacks none is left out. Raises `UsageError` if one cannot be asked.
    """
    script, arguments = ["sh", "-c", LIST_SCRIPT, "sh"], [files.folder, *files.paths]
    replies = run_all(places, lambda place: start_process(place, script, arguments), _read)
    require_replies(replies, NOTHING_STARTED)
    lacking = {}
    for reply in replies:
        lines = reply.output.decode(errors="replace").splitlines()
        present = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
        names = [name for name, digest in files.digests.items() if present.get(name) != digest]
        if names:
            lacking[reply.place] = names
    return lacking


def _read(place: RemotePlace, process: subprocess.Popen[bytes]) -> PlaceReply:
    """Read all that a command prints, however long it takes, and return the reply."""
    output, errors = process.communicate()
    return build_reply(place, process.returncode, output, errors)


def _send_files(
    lacking: Mapping[RemotePlace, Sequence[str]], files: ModelFiles
) -> list[PlaceReply]:
    """Send to each place the files that it lacks, to all at once; nothing goes on if that fails."""
    script = ["sh", "-c", UNPACK_SCRIPT, "sh"]
    return run_all(
        [*lacking],
        lambda place: start_process(place, script, [files.folder]),
        lambda place, process: _send(place, process, files, lacking[place]),
    )


def _send(
    place: RemotePlace, process: subprocess.Popen[bytes], files: ModelFiles, names: Sequence[str]
) -> PlaceReply:
    """Send files as one archive, and return the reply."""
    assert process.stdin is not None
    # A place that ends before it has read all says why.
    with (
        suppress(BrokenPipeError),
        process.stdin as pipe,
        tarfile.open(fileobj=pipe, mode="w|", dereference=True, bufsize=CHUNK_BYTES) as archive,
    ):
        for name in names:
            archive.add(files.paths[name], name, recursive=False)
    # It is closed; to read on would flush it.
    process.stdin = None
    return _read(place, process)
