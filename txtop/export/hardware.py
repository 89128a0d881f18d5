"""Render a comparison across hardware as Markdown and JSON."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from txtop.analysis.hardware import HardwareRow
from txtop.export.markdown import escape_markdown, format_markdown_table
from txtop.export.text.hardware import build_table, list_reasons
from txtop.sanitise import escape_json


def render_markdown(rows: Sequence[HardwareRow]) -> str:
    """Render the table and what is to be doubted as Markdown; text from outside is escaped."""
    table = format_markdown_table(*build_table(rows))
    return table + "".join(f"\n- {escape_markdown(line)}\n" for line in list_reasons(rows))


def render_json(rows: Sequence[HardwareRow]) -> str:
    """Render an array with the fields of `HardwareRow`."""
    body = msgspec.json.format(msgspec.json.encode(rows), indent=2)
    return escape_json(body).decode() + "\n"


WRITERS = {"md": render_markdown, "json": render_json}
