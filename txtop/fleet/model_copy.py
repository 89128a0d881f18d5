"""Model directories for the places of a fleet: what each lacks, by its engine's standard input.

A place needs sh, tar and sha256sum, and no txtop for it. A directory has the path there that it has
here.
"""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from txtop.errors import UsageError
from txtop.fleet.places import RemotePlace
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
# A copy that breaks leaves the directory as it was.
UNPACK_SCRIPT = """set -e
mkdir -p "$1"; d=$(cd "$1" && pwd); p="$d.part"; rm -rf "$p"; mkdir "$p"
tar -x -f - -C "$p"
cd "$p"
find . -type f | while IFS= read -r f; do
  mkdir -p "$d/$(dirname "$f")"; mv "$f" "$d/$f"
done
rm -rf "$p"
"""


@dataclass(frozen=True)
class ModelFiles:
    """The files of a local model: the directory as it was typed, and paths and digests by name."""

    folder: str
    paths: Mapping[str, Path]
    digests: Mapping[str, str]


def list_local_models(options: RunOptions) -> list[str]:
    """Return the models of a run that are paths; the assistants of speculation too.

    Raises `UsageError` if there are none.
    """
    given = options.given()
    assistants = (get_assistant(text) for text in map(str, given.get("speculative") or ()))
    named = [*(given.get("models") or ()), *filter(None, assistants)]
    paths = list(dict.fromkeys(name for name in map(str, named) if is_path(name)))
    if not paths:
        raise UsageError("--sync-model: no model is a path", "as --models ./model")
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
    with ThreadPoolExecutor(len(places)) as pool:
        listed = list(pool.map(lambda place: list_lacking(place, files), places))
        wanting = [(place, names) for place, names in zip(places, listed, strict=True) if names]
        for place, names in wanting:
            size = sum(files.paths[name].stat().st_size for name in names)
            count = format_count(len(names), "file")
            tell(f"{place.label:<12} lacks {count} of {files.folder}, {format_size(size)}: copying")
        refusals = list(pool.map(lambda one: send_files(one[0], files, one[1]), wanting))
    if any(refusals):
        raise UsageError("; ".join(filter(None, refusals)), "nothing was started")


def list_lacking(place: RemotePlace, files: ModelFiles) -> list[str]:
    """Return the names of the files that a place lacks, or has with other contents.

    Raises `UsageError` if it cannot be asked.
    """
    command = place.build_command(["sh", "-c", LIST_SCRIPT, "sh"], [files.folder, *files.paths])
    try:
        ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    except OSError as error:
        raise UsageError(f"{place.label}: {command[0]}: {error.strerror}") from None
    if ran.returncode:
        raise UsageError(f"{place.label}: {_get_last_line(ran.stderr, ran.returncode)}")
    lines = ran.stdout.decode(errors="replace").splitlines()
    present = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    return [name for name, digest in files.digests.items() if present.get(name) != digest]


def send_files(place: RemotePlace, files: ModelFiles, names: Sequence[str]) -> str:
    """Send files as one archive. Return why that failed, empty if it did not."""
    command = place.build_command(["sh", "-c", UNPACK_SCRIPT, "sh"], [files.folder])
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
    except OSError as error:
        return f"{place.label}: {command[0]}: {error.strerror}"
    assert process.stdin is not None and process.stderr is not None
    # A place that ends before it has read all says why.
    with (
        suppress(BrokenPipeError),
        process.stdin as pipe,
        tarfile.open(fileobj=pipe, mode="w|", dereference=True, bufsize=CHUNK_BYTES) as archive,
    ):
        for name in names:
            archive.add(files.paths[name], name, recursive=False)
    errors = process.stderr.read()
    process.stderr.close()
    code = process.wait()
    return f"{place.label}: {_get_last_line(errors, code)}" if code else ""


def _get_last_line(errors: bytes, code: int) -> str:
    lines = errors.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"exit code {code}"
