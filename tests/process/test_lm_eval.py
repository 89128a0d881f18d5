"""Every answer is lm-evaluation-harness's; run where that library is installed.

`TXTOP_LM_EVAL_MODEL` names a trained decoder to ask in place of the tiny one, `TXTOP_LM_EVAL_ITEMS`
the items of each task.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from support import tiny_models
from support.inline_worker import InlineWorker, run_inline
from txtop.plan.cell import Cell
from txtop.protocol import commands, events
from txtop.tasks import task_file

lm_eval = pytest.importorskip("lm_eval")
pytestmark = pytest.mark.slow
COUNT = int(os.environ.get("TXTOP_LM_EVAL_ITEMS", "60"))


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Any:
    with run_inline(monkeypatch) as inline:
        yield inline


@pytest.fixture
def model(tmp_path: Path) -> Path:
    named = os.environ.get("TXTOP_LM_EVAL_MODEL")
    return Path(named) if named else tiny_models.add_tokenizer(tiny_models.gpt2(tmp_path / "gpt2"))


def answer(worker: InlineWorker, model: Path, path: str) -> dict[int, str]:
    """Return the answers of txtop by line."""
    command = commands.Answer(
        cell=Cell(id="c", model=str(model), device="cpu"),
        task=task_file.describe_task(path, "quiz"),
        tells_items=True,
        started_ns=0,
        seed=0,
    )
    worker.follow(command)
    assert worker.of(events.TaskAnswered)[0].failed == ""
    lines = [line for part in worker.of(events.TaskQuestions) for line in part.lines]
    texts = [text for part in worker.of(events.TaskAnswers) for text in part.answers]
    return dict(zip(lines, texts, strict=True))


def evaluate(model: Path, config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return lm-eval's samples in the order of the file."""
    from lm_eval.models.huggingface import HFLM

    own = HFLM(pretrained=str(model), device="cpu", dtype="float32", batch_size=1)
    results = lm_eval.simple_evaluate(own, tasks=[config], bootstrap_iters=0)
    samples: list[dict[str, Any]] = results["samples"]["quiz"]
    return sorted(samples, key=lambda sample: sample["doc_id"])


def write(folder: Path, items: list[dict[str, Any]]) -> str:
    file = folder / "quiz.jsonl"
    file.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return str(file)


def configure(path: str, **config: Any) -> dict[str, Any]:
    files = {"data_files": {"test": path}}
    base = {"task": "quiz", "dataset_path": "json", "dataset_kwargs": files, "test_split": "test"}
    return {**base, **config}


def read_built_in(name: str, count: int) -> list[dict[str, Any]]:
    file = task_file.find_task_file(f"builtin:{name}")
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()[:count]]


def test_every_choice_is_that_of_lm_eval(worker: InlineWorker, model: Path, tmp_path: Path) -> None:
    items = [
        {"question": item["question"], "choices": item["choices"], "answer": item["answer"]}
        for name in ("facts", "agreement")
        for item in read_built_in(name, COUNT)
    ]
    # Some end in white space, which both move to the choice, before the space between the two.
    for place, item in enumerate(items):
        item["question"] += ("", " ", "\n")[place % 3]
    # The tiny model reads 64 characters.
    items = [item for item in items if max(map(len, (item["question"], *item["choices"]))) < 40]
    path = write(tmp_path, items)
    config = configure(
        path,
        output_type="multiple_choice",
        doc_to_text="{{question}}",
        doc_to_choice="choices",
        doc_to_target="answer",
        metric_list=[{"metric": "acc"}],
    )
    own = answer(worker, model, path)
    samples = evaluate(model, config)
    theirs = []
    for item, sample in zip(items, samples, strict=True):
        scores = [float(response[0]) for response in sample["filtered_resps"]]
        theirs.append(item["choices"][scores.index(max(scores))])
    assert [own[line] for line in range(1, len(items) + 1)] == theirs
    print(f"{len(items)} of {len(items)} answers equal, multiple choice")


def test_a_task_file_of_lm_eval_is_read_through_it(
    worker: InlineWorker, model: Path, tmp_path: Path
) -> None:
    items = [{"q": f"a{n} =", "c": ["x", "y", "z"], "a": n % 3} for n in range(12)]
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    config = configure(
        str(data),
        output_type="multiple_choice",
        doc_to_text="{{q}}",
        doc_to_choice="c",
        doc_to_target="a",
        metric_list=[{"metric": "acc"}],
    )
    file = tmp_path / "quiz.yaml"
    # JSON is YAML, too.
    file.write_text(json.dumps(config), encoding="utf-8")
    own = answer(worker, model, str(file))
    theirs = []
    for item, sample in zip(items, evaluate(model, config), strict=True):
        scores = [float(response[0]) for response in sample["filtered_resps"]]
        theirs.append(item["c"][scores.index(max(scores))])
    assert [own[line] for line in range(1, 13)] == theirs


def test_every_text_is_that_of_lm_eval(worker: InlineWorker, model: Path, tmp_path: Path) -> None:
    items: list[dict[str, Any]] = [
        {"prompt": f"{a} + {b} =", "answer": str(a + b)} for a in range(2, 7) for b in range(3, 7)
    ]
    path = write(tmp_path, [{**item, "max_tokens": 8, "until": ["\n", "."]} for item in items])
    config = configure(
        path,
        output_type="generate_until",
        doc_to_text="{{prompt}}",
        doc_to_target="{{answer}}",
        generation_kwargs={"until": ["\n", "."], "max_gen_toks": 8, "do_sample": False},
        metric_list=[{"metric": "exact_match"}],
    )
    own = answer(worker, model, path)
    theirs = [sample["resps"][0][0].strip() for sample in evaluate(model, config)]
    assert [own[line] for line in range(1, len(items) + 1)] == theirs
    print(f"{len(items)} of {len(items)} answers equal, exact match")
