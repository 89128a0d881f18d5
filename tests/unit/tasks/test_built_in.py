"""The tasks that ship: made by the generator, of the kinds and sizes that the documents state."""

from __future__ import annotations

import re

import pytest

from support import built_in_tasks
from support.paths import ROOT
from txtop.tasks import task_file


@pytest.mark.parametrize("name", sorted(built_in_tasks.TASKS))
def test_a_file_is_what_the_generator_makes(name: str) -> None:
    assert task_file.find_task_file(f"builtin:{name}").read_bytes() == built_in_tasks.encode_task(
        name
    )


def test_the_documents_count_what_ships() -> None:
    text = (ROOT / "docs" / "tasks.md").read_text("utf-8")
    counts = dict(re.findall(r"^\| `(\w+)` \| .* \| (\d+) \|$", text, re.MULTILINE))
    tasks = {name: task_file.describe_task(f"builtin:{name}", name) for name in counts}
    assert sorted(counts) == task_file.list_built_in()
    assert {name: str(task.items) for name, task in tasks.items()} == counts


def test_pairs_have_every_grade_and_choices_every_place() -> None:
    pairs = task_file.read_task("builtin:pairs").items
    assert {item.score for item in pairs} == {0, 1, 2, 3, 4, 5}  # type: ignore[union-attr]
    for name in ("arithmetic", "facts"):
        places = {item.place for item in task_file.read_task(f"builtin:{name}").items}  # type: ignore[union-attr]
        assert places == {0, 1, 2, 3}
