"""The panel of an explanation: the bar of a step, the findings, and the tree of modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from txtop import formatting
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.frame import draw_frame
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.scatter import get_series_role, get_series_sign
from txtop.ui.drawing.spans import (
    Row,
    Span,
    clean,
    cut,
    fit,
    fit_block,
    join_ends,
    measure_text,
    wrap,
)
from txtop.ui.models.why import FindingRow, ModuleRow, StepBar, WhyView
from txtop.ui.panels.base import MOVE_BINDINGS, KeysChanged, NavigablePanel
from txtop.ui.panels.cell_detail.load_phases import apportion_width, draw_piece

TITLE = "why"
MIN_SHARE = 0.005
COST_WIDTH = 5
INDENT = COST_WIDTH + 2
MAX_NOTE_ROWS = 3
# Of the row of a module: its name at most, its bar at least, and what stands between.
MODULE_NAME_WIDTH, MODULE_BAR_WIDTH, MODULE_FIGURES_WIDTH = 40, 12, 28
MIN_TREE_ROWS = 4
# The findings have so many rows, or half of them, whatever the notes take.
MIN_FINDING_ROWS = 6
FINDINGS_HEADING = "why, and what each costs a request at most:"


def render_why(
    view: WhyView | None, area: Area, opened: frozenset[str], cursor: str, *, tree: bool
) -> list[Row]:
    """Render exactly `area.height` rows. `opened` are the modules whose own are shown.

    Notes say how far to trust the rest, and have their rows first. With `tree` half of what is left
    is the tree's; otherwise it has what the findings leave.
    """
    g, inside = area.glyphs, area.inside
    if view is None:
        text = "no explanation of this cell: press x to explain it in a new run"
        return draw_frame(TITLE, [], [[(g(text), "muted")]], area)
    if view.pending:
        return draw_frame(TITLE, [], [[(g(clean(view.pending)), "muted")]], area)
    body: list[Row] = []
    bars = view.bars if inside.height >= 14 else view.bars[:1]
    for bar in bars:
        body += _render_bar(bar, inside.width, g)
    if inside.height >= 18:
        body.append([])
    rest = inside.height - len(body)
    most = max(1, rest // 2, rest - MIN_FINDING_ROWS)
    notes = _render_notes(view.notes, inside.width, most, g)
    rest -= len(notes)
    wants_tree = tree and rest >= 2 * MIN_TREE_ROWS
    room = rest if not wants_tree else max(MIN_TREE_ROWS, rest // 2)
    body += _render_findings(view, inside.width, room, g) + notes
    if view.modules and (wants_tree or inside.height - len(body) > 2 * MIN_TREE_ROWS):
        body.append([])
        body += _render_tree(view, inside.width, inside.height - len(body), g, opened, cursor)
    remark = view.bars[0].remark if view.bars else ""
    return draw_frame(
        TITLE, [(g(remark), "muted")], fit_block(body, inside.width, inside.height), area
    )


def _render_bar(bar: StepBar, width: int, g: Glyphs) -> list[Row]:
    """Render the name and time of a step, its pieces in proportion, and their names."""
    pieces = [(name, share) for name, share, _ in bar.pieces if share >= MIN_SHARE]
    rest = 1 - sum(share for _, share in pieces)
    if rest >= MIN_SHARE:
        pieces.append(("other", rest))
    python = sum(share for _, _, share in bar.pieces)
    right: Row = [(f"Python {100 * python:.0f} %", "muted")]
    rows: list[Row] = [
        join_ends([(f"{bar.name} ", "text"), (f"{bar.ms} ms", "text.bold")], right, width)
    ]
    widths = apportion_width([share for _, share in pieces], width)
    drawn = [draw_piece(i, columns, g) for i, columns in enumerate(widths) if columns]
    return [*rows, drawn, _render_names(pieces, width, g)]


def _render_names(pieces: list[tuple[str, float]], width: int, g: Glyphs) -> Row:
    """Render the names and shares of as many pieces as a row holds, largest first."""
    row: Row = []
    used = 0
    for i, (name, share) in enumerate(pieces):
        sign, percent = get_series_sign(i, g), f"{100 * share:.0f} %"
        wide = measure_text(sign) + measure_text(name) + len(percent) + 4
        if used + wide - 2 > width:
            break
        row += [
            (f"{sign} ", get_series_role(i)), (f"{name} ", "muted"), (f"{percent}  ", "text"),
        ]  # fmt: skip
        used += wide
    return row


def _render_findings(view: WhyView, width: int, room: int, g: Glyphs) -> list[Row]:
    """Render the findings by cost, each with its evidence.

    Thresholds take only what is left. Without room for evidence and cures the findings have a row
    each, and of those that it cuts the first are wrapped.
    """
    rows: list[Row] = [] if view.findings else [[("no finding: no rule holds", "ok")]]
    for threshold in (True, False):
        blocks = [_render_whole(finding, width, g, threshold) for finding in view.findings]
        if sum(map(len, blocks)) <= room:
            break
    else:
        blocks = _render_briefly(view.findings, width, room, g)
    if view.findings and sum(map(len, blocks)) < room:
        rows.append([(cut(FINDINGS_HEADING, width, g("…")), "muted")])
    for at, lines in enumerate(blocks):
        if len(rows) + len(lines) > room:
            left = formatting.format_count(len(blocks) - at, "more finding")
            rows = [*rows[: room - 1], [(left, "muted")]] if rows else lines[:room]
            break
        rows += lines
    return rows


def _render_notes(notes: Sequence[str], width: int, room: int, g: Glyphs) -> list[Row]:
    """Render the notes whole, wrapped; without room the first of them, and how many are left."""
    lines = [wrap(g(note), width, min(MAX_NOTE_ROWS, room), g("…")) for note in notes]
    while len(lines) > 1 and sum(map(len, lines)) > room:
        lines.pop()
    rows: list[Row] = [[(line, "warn")] for note in lines for line in note]
    if hidden := len(notes) - len(lines):
        left = f"  {formatting.format_count(hidden, 'more note')}"
        last = cut(rows[-1][0][0], max(0, width - measure_text(left)), g("…"))
        rows[-1] = [(last, "warn"), (left, "muted")]
    return rows


def _render_briefly(
    findings: Sequence[FindingRow], width: int, room: int, g: Glyphs
) -> list[list[Row]]:
    """Render a row for each finding; rows that are left, but for the heading, go to evidence that
    a row cuts."""
    blocks = [[_render_line(finding, width, g)] for finding in findings]
    spare = room - len(findings) - 1
    for at, finding in enumerate(findings):
        lines = wrap(f"{finding.title}: {finding.evidence}", width - INDENT, MAX_NOTE_ROWS)
        if 1 < len(lines) <= spare + 1:
            first, rest = lines[0], lines[1:]
            head = first[: len(finding.title) + 1]
            blocks[at] = [
                [_render_cost(finding, g), (g(head), "text.bold"), (g(first[len(head) :]), "text")],
                *([(" " * INDENT + g(line), "text")] for line in rest),
            ]
            spare -= len(rest)
    return blocks


def _render_cost(finding: FindingRow, g: Glyphs) -> Span:
    return fit(finding.cost or g("—"), COST_WIDTH, "right") + "  ", "accent-a.bold"


def _render_line(finding: FindingRow, width: int, g: Glyphs) -> Row:
    head = f"{finding.title}: "
    room = max(10, width - INDENT) - measure_text(head)
    text = cut(clean(g(finding.evidence)), max(0, room), g("…"))
    return [_render_cost(finding, g), (g(head), "text.bold"), (text, "text")]


def _render_whole(finding: FindingRow, width: int, g: Glyphs, threshold: bool) -> list[Row]:
    """Render a finding with its evidence and what to try, its threshold if asked."""
    indent = " " * INDENT
    room = max(10, width - INDENT)
    rows: list[Row] = [[_render_cost(finding, g), (g(finding.title), "text.bold")]]
    rows += [[(indent + line, "text")] for line in wrap(g(finding.evidence), room, 2, g("…"))]
    if threshold:
        lines = wrap(g(finding.threshold), room, 3, g("…"))
        rows += [[(indent + line, "muted")] for line in lines]
    tries = "   ".join(finding.tries)
    if tries:
        line = cut(clean(g(tries)), max(0, room - 5), g("…"))
        rows.append([(indent + "try  ", "muted"), (line, "accent-b")])
    return rows


def list_visible(view: WhyView, opened: frozenset[str]) -> list[ModuleRow]:
    """Return the modules of the tree whose parents are all open."""
    visible: list[ModuleRow] = []
    shut_depth: int | None = None
    for row in view.modules:
        if shut_depth is not None and row.depth > shut_depth:
            continue
        visible.append(row)
        shut_depth = None if row.path in opened else row.depth
    return visible


def _render_tree(
    view: WhyView, width: int, height: int, g: Glyphs, opened: frozenset[str], cursor: str
) -> list[Row]:
    """Render the modules around the cursor, below a line that names the step they are of."""
    visible = list_visible(view, opened)
    room = height - 1
    place = next((i for i, row in enumerate(visible) if row.path == cursor), 0)
    first = max(0, min(place - room // 2, len(visible) - room))
    heading = f"the modules of the model in a {view.bars[0].name}, each with what it calls:"
    return [
        [(cut(heading, width, g("…")), "muted")],
        *(
            _render_module(row, width, g, is_open=row.path in opened, selected=row.path == cursor)
            for row in visible[first : first + room]
        ),
    ]


def _render_module(row: ModuleRow, width: int, g: Glyphs, *, is_open: bool, selected: bool) -> Row:
    sign = g("▾" if is_open else "▸") if row.opens else " "
    role = "accent-a.bold" if selected else "text"
    room = width - MODULE_FIGURES_WIDTH
    name_width = min(MODULE_NAME_WIDTH, max(8, room - MODULE_BAR_WIDTH))
    bar_width = max(MODULE_BAR_WIDTH, room - name_width)
    filled = round(min(1.0, row.share) * bar_width)
    return [
        (fit("  " * row.depth + f"{sign} {row.name}", name_width, mark=g("…")), role),
        (fit(row.kind, 11), "muted"),
        (fit(f"{row.ms} ms", 10, "right"), "text"),
        (fit(f"{100 * row.share:.0f} %", 6, "right") + " ", "text.bold"),
        (g("━") * filled, "accent-a"),
        (g("╌") * (bar_width - filled), "muted"),
    ]


class WhyPanel(NavigablePanel):
    """Where the time of a cell goes; its tree opens at the cursor while it has all the room."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *MOVE_BINDINGS,
        Binding("enter", "turn", show=False),
        Binding("right", "open(True)", show=False),
        Binding("left", "open(False)", show=False),
    ]

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._opened: frozenset[str] = frozenset()
        self._cursor = ""

    def build(self, width: int, height: int) -> list[Row]:
        view = self.view.why
        if view is not None and view.modules and not self._cursor:
            # The model itself is open: a tree of one row says nothing.
            self._opened = frozenset(row.path for row in view.modules if row.depth == 0)
            self._cursor = view.modules[0].path
        return render_why(
            view,
            self.area(width, height),
            self._opened,
            self._cursor if self.has_focus else "",
            tree=self.zoomed,
        )

    def action_move(self, by: int) -> None:
        view = self.view.why
        if view is None or not view.modules:
            return
        visible = list_visible(view, self._opened)
        place = next((i for i, row in enumerate(visible) if row.path == self._cursor), 0)
        self._cursor = visible[max(0, min(place + by, len(visible) - 1))].path
        self.tick()

    def action_turn(self) -> None:
        self.action_open(self._cursor not in self._opened)

    def action_open(self, opens: bool) -> None:
        self._opened = self._opened | {self._cursor} if opens else self._opened - {self._cursor}
        self.tick()
        self.post_message(KeysChanged())
