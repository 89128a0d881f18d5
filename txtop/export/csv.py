"""Write one cell a line: JSON lines, and CSV whose text a spreadsheet cannot take for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import msgspec

from txtop.analysis.metrics import FinalMetrics
from txtop.export.json import build_export
from txtop.export.schema import CellExport
from txtop.plan.prompt_file import PromptFile
from txtop.sanitise import escape_json, sanitise
from txtop.state.session import SessionState

SERVING_FIELDS = ("serving", "requests", "tokens")
NESTED_FIELDS = (
    *("accuracy", "metrics", "kernels", "fidelity", "environment", "device_time", "notes", "drawn"),
    "prompts",
    *SERVING_FIELDS,
)
FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r")


def to_jsonl(state: SessionState, finals: FinalMetrics) -> bytes:
    """Return each cell of the export as one line of JSON."""
    lines = (escape_json(msgspec.json.encode(c)) + b"\n" for c in build_export(state, finals).cells)
    return b"".join(lines)


def to_csv(state: SessionState, finals: FinalMetrics) -> bytes:
    """Return one row a cell: its configuration, and n, mean, median and interval of each metric."""
    return write_rows(build_rows(state, finals))


def build_rows(state: SessionState, finals: FinalMetrics) -> list[dict[str, object]]:
    """Return the columns of each cell by name."""
    return [_build_row(cell) for cell in build_export(state, finals).cells]


def write_rows(rows: Sequence[dict[str, object]]) -> bytes:
    """Return rows as CSV; a column that a row lacks is empty."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def escape_formula(text: str) -> str:
    """Return `text` on one line, with an apostrophe before what a spreadsheet would run."""
    return ("'" if text.startswith(FORMULA_PREFIXES) else "") + sanitise(text)


def _format_field(value: object) -> object:
    """Return a list or an object as JSON, which every reader of the column knows."""
    if isinstance(value, list | tuple | dict):
        value = msgspec.json.encode(value).decode()
    return escape_formula(value) if isinstance(value, str) else value


def _build_row(cell: CellExport) -> dict[str, object]:
    row: dict[str, object] = {
        name: _format_field(value)
        for name, value in msgspec.structs.asdict(cell).items()
        if name not in NESTED_FIELDS and value is not msgspec.UNSET
    }
    row |= {f"kernel_{name}": escape_formula(value or "") for name, value in cell.kernels.items()}
    row |= _build_prompts_fields(cell)
    row |= _build_served_fields(cell)
    row |= _build_device_time_fields(cell)
    row |= _build_accuracy_fields(cell)
    row["notes"] = escape_formula("; ".join(cell.notes))
    for name, metric in cell.metrics.items():
        low, high = metric.ci95 or (None, None)
        row |= {
            f"{name}_n": metric.n,
            f"{name}_mean": metric.mean,
            f"{name}_median": metric.median,
            f"{name}_ci95_lo": low,
            f"{name}_ci95_hi": high,
        }
    return row


def _build_accuracy_fields(cell: CellExport) -> dict[str, object]:
    """Return the columns of each task; none if the session has no tasks."""
    fields: dict[str, object] = {}
    for own in cell.accuracy:
        low, high = own.ci95 or (None, None)
        fields |= {
            f"accuracy_{own.task}": own.accuracy,
            f"accuracy_{own.task}_difference": own.difference,
            f"accuracy_{own.task}_ci95_lo": low,
            f"accuracy_{own.task}_ci95_hi": high,
        }
    return fields


def _build_device_time_fields(cell: CellExport) -> dict[str, object]:
    """Return the columns of the GPU's time in each phase; none if it is not known."""
    times = cell.device_time
    phases = {"prefill": times.prefill, "decode": times.decode} if times else {}
    return {
        f"device_{phase}_{name}": value
        for phase, figures in phases.items()
        if figures is not None
        for name, value in msgspec.structs.asdict(figures).items()
    }


def _build_prompts_fields(cell: CellExport) -> dict[str, object]:
    """Return the columns of a file of prompts; none for random ids."""
    file: PromptFile | None = msgspec.structs.asdict(cell)["prompts"]
    if file is None:
        return {}
    row: dict[str, object] = {"prompts": escape_formula(file.path), "prompts_n": file.prompts}
    row["prompts_sha256"] = file.sha256
    counts = msgspec.structs.asdict(file.tokens) if file.tokens else {}
    return row | {f"prompts_tokens_{name}": value for name, value in counts.items()}


def _build_served_fields(cell: CellExport) -> dict[str, object]:
    """Return the columns of requests, tokens and load; of `pairs` only their number."""
    row = {
        f"{part}_{name}": value
        for part in SERVING_FIELDS
        if (facts := getattr(cell, part)) is not None
        for name, value in msgspec.structs.asdict(facts).items()
    }
    if cell.serving is not None:
        slo = cell.serving.slo
        row |= {"serving_pairs": len(cell.serving.pairs), "serving_slo": slo.words() if slo else ""}
    return row
