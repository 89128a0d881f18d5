"""What every test run says at its end."""

from __future__ import annotations

import fault_rows
import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Lists the rows of fault_rows.toml that no test shows yet."""
    tested = fault_rows.tested()
    missing = {number: title for number, title in fault_rows.rows().items() if number not in tested}
    terminalreporter.section(f"faults without a test yet: {len(missing)}")
    for number, title in missing.items():
        terminalreporter.line(f"{number:>3}  {title}")
