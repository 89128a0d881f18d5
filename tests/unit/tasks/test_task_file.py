"""The files of tasks: what is read, and the one line about what is not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from txtop.errors import UsageError
from txtop.tasks import task_file
from txtop.tasks.items import ChoiceItem, MatchItem

CHOICE = {"question": "The sky is", "choices": ["blue", "green"], "answer": 0}
MATCH = {"prompt": "2 + 2 =", "answer": ["4", "four"]}
KINDS = {
    "choice": CHOICE,
    "match": MATCH,
    "label": {"text": "fine", "label": "good"},
    "pairs": {"a": "one", "b": "two", "score": 2.5},
    "retrieval": {"query": "who", "relevant": ["me", "her"], "k": 1},
    "fill": {"text": "The sky is [MASK].", "answer": "blue"},
}


def write(folder: Path, *lines: object) -> str:
    file = folder / "task.jsonl"
    file.write_bytes(
        b"".join(
            (one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n" for one in lines
        )
    )
    return str(file)


@pytest.mark.parametrize("kind", KINDS)
def test_the_fields_tell_the_kind(kind: str, tmp_path: Path) -> None:
    lines = [KINDS[kind], *([{"a": "three", "b": "two", "score": 1}] if kind == "pairs" else [])]
    task = task_file.describe_task(write(tmp_path, *lines), "mine")
    assert (task.kind, task.items, task.name, len(task.sha256)) == (kind, len(lines), "mine", 64)


@pytest.mark.parametrize("kind", KINDS)
def test_a_misspelt_field_has_the_right_one_beside_it(kind: str, tmp_path: Path) -> None:
    for name in (name for name in KINDS[kind] if len(name) > 1):
        slip = name[:-2] + name[:-3:-1]
        fields = {slip if field == name else field: v for field, v in KINDS[kind].items()}
        path = write(tmp_path, fields)
        cause = f"--task {path}, line 1 is no item: no field '{slip}': did you mean {name}?"
        with pytest.raises(UsageError) as refused:
            task_file.read_task(path)
        assert str(refused.value) == cause


@pytest.mark.parametrize("kind", KINDS)
def test_an_item_that_comes_again_is_refused_by_its_lines(kind: str, tmp_path: Path) -> None:
    item, lines = KINDS[kind], list[object]()
    path = write(tmp_path, item, b"", item)
    with pytest.raises(UsageError) as refused:
        task_file.read_task(path)
    assert str(refused.value) == (
        f"--task {path}, line 3 repeats the question of line 1:"
        " ask each question once: leave out line 3"
    )
    lines = [item] * 8
    with pytest.raises(UsageError) as refused:
        task_file.read_task(write(tmp_path, *lines))
    assert str(refused.value).endswith(
        ", line 2 repeats the question of line 1, and 6 more lines repeat others:"
        " ask each question once: leave out lines 2, 3, 4, 5, 6, …"
    )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (CHOICE, {**CHOICE, "answer": "green"}, True),
        (CHOICE, {**CHOICE, "choices": ["green", "blue"]}, True),
        (CHOICE, {**CHOICE, "choices": ["red", "blue"]}, False),
        (CHOICE, {**CHOICE, "space": ""}, False),
        (MATCH, {**MATCH, "until": ["."]}, False),
        (CHOICE, {**CHOICE, "question": "The sky is "}, True),
        (MATCH, {**MATCH, "prompt": "\t2 + 2 =\n"}, True),
        ({"a": "x", "b": "y", "score": 1}, {"a": " y", "b": "x ", "score": 2}, True),
        ({"text": "x", "label": "y"}, {"text": "x ", "label": "y"}, True),
        ({"text": "x | z", "label": "y"}, {"text": "x", "text_pair": "z", "label": "y"}, False),
        ({"query": "x", "relevant": ["y"]}, {"query": "x ", "relevant": ["z"]}, True),
        (
            {"text": "x [MASK]", "answer": "y"},
            {"text": " x [MASK]", "answer": "y"},
            True,
        ),
        ({"a": "x", "b": "y", "score": 1}, {"a": "y", "b": "x", "score": 2}, True),
        ({"text": "x", "label": "y"}, {"text": "x", "text_pair": "z", "label": "y"}, False),
        ({"query": "x", "relevant": ["y"]}, {"query": "x", "relevant": ["z"]}, True),
    ],
)
def test_a_question_is_the_same_whatever_its_answer(
    one: dict[str, object], other: dict[str, object], same: bool, tmp_path: Path
) -> None:
    path = write(tmp_path, one, other)
    if same:
        with pytest.raises(UsageError, match="line 2 repeats the question of line 1"):
            task_file.read_task(path)
    else:
        assert len(task_file.read_task(path).items) == 2


def test_items_know_their_line_and_the_right_answer(tmp_path: Path) -> None:
    read = task_file.read_task(
        write(tmp_path, b"\xef\xbb\xbf", CHOICE, {**CHOICE, "question": "Is", "answer": "green"})
    )
    assert [(item.line, item.right) for item in read.items] == [(2, "blue"), (3, "green")]
    match = task_file.read_task(write(tmp_path, MATCH)).items[0]
    assert isinstance(match, MatchItem)
    assert match.answers == ["4", "four"]


def test_one_answer_of_several_may_have_its_end_in_it(tmp_path: Path) -> None:
    item = {"prompt": "Where?", "answer": ["Paris", "Paris."], "until": ["."]}
    assert len(task_file.read_task(write(tmp_path, item)).items) == 1
    # Spaces around an answer do not count, so that an end there is none in it.
    item = {"prompt": "Where?", "answer": "\nParis\n"}
    assert len(task_file.read_task(write(tmp_path, item)).items) == 1


def test_documents_beside_queries_are_no_items(tmp_path: Path) -> None:
    read = task_file.read_task(write(tmp_path, KINDS["retrieval"], {"document": "you"}))
    assert (len(read.items), read.documents) == (1, ["you"])


def test_the_order_is_that_of_the_seed_alone() -> None:
    items = [ChoiceItem(line=n, **CHOICE) for n in range(50)]  # type: ignore[arg-type]
    one, again, other = (task_file.order_items(items, seed) for seed in (1, 1, 2))
    assert one == again != other
    assert sorted(item.line for item in one) == list(range(50))


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        ([], "has no items"),
        ([b"", b"  "], "has no items"),
        ([CHOICE, b"{"], ", line 2 is not JSON (expecting property name "),
        ([CHOICE, b'{"a": "\\ud800"}'], ", line 2 is not JSON (half a surrogate pair"),
        (["{}".encode("utf-16")], ", line 1 is UTF-16 text: save it as UTF-8"),
        ([b'{"text": "a", "text": "b", "label": "c"}'], ", line 1 has 'text' twice: each field"),
        ([b'{"text": "\xe4"}'], ", line 1 is not UTF-8 text: save it as UTF-8"),
        ([[1]], ", line 1 is no JSON object"),
        ([{"nothing": 1}], ", line 1 has none of the fields choices"),
        ([CHOICE, MATCH], ", line 2 is exact match in a file of multiple choice: one kind a file"),
        ([{**CHOICE, "question": 3}], "choice: question: a whole number in place of text"),
        ([{**CHOICE, "id": 3}], "multiple choice: no field 'id': fields: question, choices, ans"),
        ([{**CHOICE, "answers": 3}], "no field 'answers': fields: question, choices, answer"),
        ([{**CHOICE, "choices": ["a", "b", "a"]}], "choices has 'a' twice"),
        ([{"query": "q", "relevant": ["a", "a"]}], "relevant has 'a' twice"),
        ([{**CHOICE, "answer": 2}], "answer is not between 0 and 1"),
        ([{**CHOICE, "answer": "red"}], "answer is none of the choices"),
        ([{**CHOICE, "choices": ["one"]}], "choices: fewer than 2 entries"),
        ([{"text": "no mask", "answer": "blue"}], "text has 0 times [MASK], not once"),
        (
            [MATCH, {**MATCH, "answer": " a.b ", "until": ["\n", "."]}],
            "line 2 is no item of exact match: answer has '.', before which the text ends (until)",
        ),
        (
            [{"a": f"{n}", "b": "b", "score": 2} for n in range(3)],
            ", line 3 ends a file whose scores are all 2: there is nothing to rank: pairs with oth",
        ),
        ([b"\x1f\x8b\x08\x00"], " is compressed: gunzip it first"),
        ([b"PK\x03\x04" + b"x" * (2 << 20)], " is compressed: unzip it first"),
        ([b"PAR1\x15\x04"], " is Parquet: write it as JSON lines"),
        ([{"document": "you"}], "has documents and no query"),
        (
            [{"document": "a"}, {"query": "q", "relevant": ["a", "b"], "k": 2}],
            ", line 2 asks for the first 2 of 2 documents: a smaller k, or lines with more doc",
        ),
        ([CHOICE, b'"' + b"x" * (1 << 20) + b'"'], ", line 2 is longer than 1 MiB"),
    ],
)
def test_a_bad_file_has_one_line_with_its_place(
    lines: list[object], cause: str, tmp_path: Path
) -> None:
    path = write(tmp_path, *lines)
    with pytest.raises(UsageError) as refused:
        task_file.read_task(path)
    text = str(refused.value)
    assert text.startswith(f"--task {path}")
    assert cause in text
    assert "\n" not in text


def test_a_line_of_a_gigabyte_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "long.jsonl"
    with file.open("wb") as stream:
        stream.truncate(1 << 30)
    with pytest.raises(UsageError, match="line 1 is longer than 1 MiB"):
        task_file.read_task(str(file))


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(UsageError, match="not a file: a "):
        task_file.read_task(str(tmp_path / "pipe.jsonl"))


def test_a_file_that_may_not_be_read_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = write(tmp_path, CHOICE)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UsageError, match="permission denied: make it readable"):
        task_file.read_task(path)


def test_a_file_that_is_not_there_names_what_is() -> None:
    with pytest.raises(UsageError, match=r"--task none\.jsonl: no such file or directory"):
        task_file.read_task("./none.jsonl")


def test_a_file_of_lm_eval_needs_that_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"is not installed: pip install txtop\[tasks\]"):
        task_file.read_task("/nowhere/quiz.yaml")
