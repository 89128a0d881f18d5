"""Read and check the file of a task: JSON lines, one item each, all of one kind."""

from __future__ import annotations

import codecs
import hashlib
import random
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from txtop.errors import UsageError, did_you_mean
from txtop.formatting import format_count
from txtop.plan.file_signature import describe_packed
from txtop.plan.json_lines import LineError, RepeatedFieldError, describe_fault, parse_line
from txtop.plan.task import BUILT_IN, KIND_NOUNS, TaskKind, TaskSpec
from txtop.sanitise import sanitise
from txtop.tasks.items import (
    KIND_FIELDS,
    ChoiceItem,
    DocumentItem,
    Item,
    ItemBase,
    PairItem,
    QueryItem,
)
from txtop.tasks.lm_eval_task import is_lm_eval_file, read_lm_eval_task

MAX_LINE_BYTES = 1 << 20
MAX_ITEMS = 100_000
_DATA = Path(__file__).parent / "data"
_FORMAT = "docs/tasks.md has the format"
_FIELDS = {name for _, _, kind in KIND_FIELDS for name in kind.__struct_fields__} - {"line"}
_NAMED = 5
"""The repeated lines that a message names at most."""


class TaskFileError(UsageError):
    """A task cannot be read; the text names the file, the line and the next step."""


@dataclass(frozen=True)
class TaskItems:
    """The items of a task in the order of the file, and the documents that no query asks for."""

    kind: TaskKind
    items: list[Item]
    documents: list[str]
    sha256: str


def list_built_in() -> list[str]:
    """Return the names of the tasks that ship with txtop."""
    return sorted(path.stem for path in _DATA.glob("*.jsonl"))


def find_task_file(path: str) -> Path:
    """Return the file of a task's path."""
    if path.startswith(BUILT_IN):
        return _DATA / f"{path.removeprefix(BUILT_IN)}.jsonl"
    return Path(path)


def order_items(items: list[Item], seed: int) -> list[Item]:
    """Return the items in the order in which they are asked, which `seed` alone determines.

    Shuffled, the first n are a sample of all, so that figures hold at every look.
    """
    shuffled = list(items)
    random.Random(seed).shuffle(shuffled)
    return shuffled


def describe_task(path: str, name: str) -> TaskSpec:
    """Read and check the file at `path` and describe it. Raises `TaskFileError`."""
    read = read_task(path)
    return TaskSpec(name=name, path=path, kind=read.kind, items=len(read.items), sha256=read.sha256)


def read_task(path: str) -> TaskItems:
    """Read the items of a task. Raises `TaskFileError` for the first line that is none."""
    if is_lm_eval_file(path):
        items = read_lm_eval_task(Path(path))
        kind: TaskKind = "choice" if items and isinstance(items[0], ChoiceItem) else "match"
        if not items or len({type(item) for item in items}) > 1:
            raise TaskFileError(f"--task {path} has no items of one kind", "one task a file")
        digest = hashlib.sha256(msgspec.json.encode(items)).hexdigest()
        return TaskItems(kind, items, [], digest)
    file = find_task_file(path)
    where = path if path.startswith(BUILT_IN) else str(file)
    if file.exists() and not file.is_file():
        step = f"a .jsonl file, or {', '.join(list_built_in())}"
        raise TaskFileError(f"--task {sanitise(where, 200)}: not a file", step)
    try:
        with file.open("rb") as stream:
            return _read_items(where, stream)
    except OSError as error:
        cause = (error.strerror or "cannot be read").lower()
        forms = f"a .jsonl file, or {', '.join(list_built_in())}"
        step = (
            "make it readable"
            if isinstance(error, PermissionError)
            else did_you_mean(Path(where).stem, list_built_in(), forms)
        )
        raise TaskFileError(f"--task {sanitise(where, 200)}: {cause}", step) from None


def _read_items(where: str, stream: BinaryIO) -> TaskItems:
    digest = hashlib.sha256()
    kind: TaskKind | None = None
    items: list[Item] = []
    documents: list[str] = []
    number = 0
    # A line is never read beyond the limit, be it a gigabyte long.
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        digest.update(line)
        if number == 1 and (packed := describe_packed(line)):
            raise TaskFileError(f"--task {sanitise(where, 200)} {packed[0]}", packed[1])
        if number == 1 and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise _refuse(where, number, "is UTF-16 text", "save it as UTF-8")
        if len(line) > MAX_LINE_BYTES:
            raise _refuse(where, number, "is longer than 1 MiB", "one item a line")
        text = line.removeprefix(codecs.BOM_UTF8).strip() if number == 1 else line.strip()
        if not text:
            continue
        item_kind, item = _read_line(where, number, text)
        kind = kind or item_kind
        if item_kind != kind:
            cause = f"is {KIND_NOUNS[item_kind]} in a file of {KIND_NOUNS[kind]}"
            raise _refuse(where, number, cause, "one kind a file")
        if isinstance(item, DocumentItem):
            documents.append(item.document)
        else:
            items.append(item)  # type: ignore[arg-type]
        if len(items) > MAX_ITEMS:
            raise _refuse(where, number, f"is item {len(items):,}", f"at most {MAX_ITEMS:,} a file")
    if kind is None or not items:
        what = "documents and no query" if documents else "no items"
        raise TaskFileError(f"--task {where} has {what}", _FORMAT)
    # Those that ship are drawn, so that some come again as any sample's may.
    if not where.startswith(BUILT_IN):
        _require_once(where, items)
    _require_choice(where, items, documents)
    _require_order(where, items)
    return TaskItems(kind, items, documents, digest.hexdigest())


def _require_once(where: str, items: list[Item]) -> None:
    """Raise `TaskFileError` for an item that comes again: it would count as evidence twice."""
    first: dict[tuple[str, ...], int] = {}
    again = [item.line for item in items if first.setdefault(item.inputs, item.line) != item.line]
    if not again:
        return
    before = next(first[item.inputs] for item in items if item.line == again[0])
    count = len(again) - 1
    more = f", and {format_count(count, 'more line')} repeat{'s' * (count == 1)} others"
    lines = ", ".join(map(str, again[:_NAMED])) + (", …" if again[_NAMED:] else "")
    step = f"ask each question once: leave out line{'s' if count else ''} {lines}"
    cause = f"repeats the question of line {before}{more if count else ''}"
    raise _refuse(where, again[0], cause, step)


def _require_choice(where: str, items: list[Item], documents: list[str]) -> None:
    """Raise `TaskFileError` for a query whose first k are all documents: no model could miss."""
    queries = [item for item in items if isinstance(item, QueryItem)]
    count = len({*documents, *(text for item in queries for text in item.relevant)})
    for item in queries:
        if item.k >= count:
            cause = f"asks for the first {item.k:,} of {format_count(count, 'document')}"
            raise _refuse(where, item.line, cause, "a smaller k, or lines with more documents")


def _require_order(where: str, items: list[Item]) -> None:
    """Raise `TaskFileError` for pairs with one score alone: no correlation exists with them."""
    pairs = [item for item in items if isinstance(item, PairItem)]
    if pairs and len({item.score for item in pairs}) == 1:
        cause = f"ends a file whose scores are all {pairs[0].right}: there is nothing to rank"
        raise _refuse(where, pairs[-1].line, cause, "pairs with other scores as well")


def _read_line(where: str, number: int, line: bytes) -> tuple[TaskKind, ItemBase]:
    try:
        fields = parse_line(line.decode())
    except UnicodeDecodeError:
        raise _refuse(where, number, "is not UTF-8 text", "save it as UTF-8") from None
    except RepeatedFieldError as error:
        cause = f"has {str(error)[:40]!a} twice"
        raise _refuse(where, number, cause, "each field once") from None
    except LineError as error:
        step = "one JSON object a line"
        raise _refuse(where, number, f"is not JSON ({error})", step) from None
    if not isinstance(fields, dict):
        raise _refuse(where, number, "is no JSON object", _FORMAT)
    match = next((entry for entry in KIND_FIELDS if entry[0] in fields), None)
    # A slip in the field that tells the kind makes the kind another one or none.
    for name in fields:
        near = "" if name in _FIELDS else did_you_mean(name, sorted(_FIELDS - fields.keys()), "")
        if near:
            raise _refuse(where, number, f"is no item: no field {name[:40]!a}", near)
    if match is None:
        cause = f"has none of the fields {', '.join(name for name, _, _ in KIND_FIELDS)}"
        raise _refuse(where, number, cause, _FORMAT)
    _, kind, struct = match
    allowed = [name for name in struct.__struct_fields__ if name != "line"]
    if unknown := [name for name in fields if name not in allowed]:
        cause = f"is no item of {KIND_NOUNS[kind]}: no field {unknown[0][:40]!a}"
        raise _refuse(where, number, cause, f"fields: {', '.join(allowed)}")
    try:
        item = msgspec.convert({**fields, "line": number}, struct)
    except msgspec.ValidationError as error:
        noun = KIND_NOUNS[kind]
        cause = f"is no item of {noun}: {describe_fault(error)}"
        raise _refuse(where, number, cause, _FORMAT) from None
    if fault := item.find_fault():
        raise _refuse(where, number, f"is no item of {KIND_NOUNS[kind]}: {fault}", _FORMAT)
    return kind, item


def _refuse(where: str, number: int, cause: str, step: str) -> TaskFileError:
    return TaskFileError(
        f"--task {sanitise(where, 200)}, line {number} {sanitise(cause, 200)}", step
    )
