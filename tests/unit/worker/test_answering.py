"""A worker that answers tasks with tiny models, held against the library's plain calls."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from support import tiny_models
from support.inline_worker import InlineWorker
from support.tiny_models import CHARACTERS
from txtop.plan.cell import Cell
from txtop.protocol import commands, events
from txtop.tasks import task_file
from txtop.tasks.items import ChoiceItem
from txtop.worker.accuracy.likelihood import tokenize_choices

Model = Callable[[Path], Path]


def write(folder: Path, items: list[dict[str, Any]]) -> Path:
    file = folder / "task.jsonl"
    file.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return file


def answer(
    worker: InlineWorker, model: Path, file: Path, *, tells_items: bool = True, **knobs: Any
) -> events.TaskAnswered:
    command = commands.Answer(
        cell=Cell(id="c", model=str(model), device="cpu", **knobs),
        task=task_file.describe_task(str(file), "quiz"),
        tells_items=tells_items,
        started_ns=0,
        seed=3,
    )
    worker.follow(command)
    return worker.of(events.TaskAnswered)[0]


def answers_by_line(worker: InlineWorker) -> dict[int, tuple[float, str]]:
    lines = [line for part in worker.of(events.TaskQuestions) for line in part.lines]
    parts = worker.of(events.TaskAnswers)
    given = [pair for part in parts for pair in zip(part.scores, part.answers, strict=True)]
    assert parts[0].first == 0
    assert all(
        0 < chance < 1 for part in worker.of(events.TaskQuestions) for chance in part.chances
    )
    return dict(zip(lines, given, strict=True))


@pytest.fixture
def decoder(tmp_path: Path) -> Path:
    """Return a decoder with opinions: the embeddings of the tiny one are nearly equal."""
    directory = tiny_models.add_tokenizer(tiny_models.gpt2(tmp_path / "gpt2"))
    tensors = load_file(directory / "model.safetensors")
    tensors["transformer.wte.weight"] *= 50
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    return directory


def load_plainly(directory: Path, kind: str) -> tuple[Any, Any]:
    import transformers

    model = getattr(transformers, kind).from_pretrained(directory).eval()
    return model, transformers.AutoTokenizer.from_pretrained(directory)


def test_spaces_behind_a_question_belong_to_the_choice_before_the_one_between() -> None:
    class Characters:
        def encode(self, text: str) -> list[str]:
            return [*text]

    for end, seam in (("", " white"), (" ", "  white"), ("\n", "\n white")):
        item = ChoiceItem(question="Snow is" + end, choices=["white", "black"], answer=0, line=1)
        first, _ = tokenize_choices(Characters(), item)
        assert [*first.context, *first.continuation] == [*"Snow is", *seam]
        assert len(first.continuation) == len(seam)


def test_a_choice_is_the_likeliest_continuation(
    worker: InlineWorker, tmp_path: Path, decoder: Path
) -> None:
    items = [
        {"question": f"{letter} is", "choices": list(CHARACTERS[3 * n + 1 :][:4]), "answer": n % 4}
        for n, letter in enumerate("abcdefghij")
    ]
    assert not answer(worker, decoder, write(tmp_path, items)).failed
    given = answers_by_line(worker)
    assert sorted(given) == list(range(1, 11))
    model, tokenizer = load_plainly(decoder, "AutoModelForCausalLM")
    for line, item in enumerate(items, start=1):
        totals = []
        for choice in item["choices"]:
            context = tokenizer.encode(item["question"])
            ids = tokenizer.encode(f"{item['question']} {choice}")
            with torch.inference_mode():
                rows = torch.log_softmax(model(torch.tensor([ids])).logits[0].double(), -1)
            totals.append(sum(float(rows[i - 1, ids[i]]) for i in range(len(context), len(ids))))
        best = totals.index(max(totals))
        assert given[line] == (float(best == item["answer"]), item["choices"][best])
    assert len({text for _, text in given.values()}) > 1


def test_a_match_is_the_greedy_text_up_to_a_stop(
    worker: InlineWorker, tmp_path: Path, decoder: Path
) -> None:
    model, tokenizer = load_plainly(decoder, "AutoModelForCausalLM")
    for start in "abcdefgh":
        prompt = torch.tensor([tokenizer.encode(f"{start} =")])
        with torch.inference_mode():
            row = model.generate(prompt, max_new_tokens=6, do_sample=False, eos_token_id=None)
        text = tokenizer.decode(row[0][prompt.shape[1] :], skip_special_tokens=True)
        if len(set(text)) > 2:
            break
    stop = text[-1]
    base = {"prompt": f"{start} =", "max_tokens": 6}
    items = [
        {**base, "answer": ["nothing", text.strip()], "until": ["#"]},
        {**base, "answer": ["nothing", text], "until": [stop]},
    ]
    assert not answer(worker, decoder, write(tmp_path, items)).failed
    cut = text.partition(stop)[0].strip()
    given = answers_by_line(worker)
    assert given[1] == (1.0, text.strip())
    assert given[2] == (float(cut == text.strip()), cut)


def test_a_quantised_cache_is_read_by_the_choice(
    worker: InlineWorker, tmp_path: Path, decoder: Path
) -> None:
    items = [{"question": f"{x} is", "choices": ["ab", "cd"], "answer": 0} for x in "abc"]
    file = write(tmp_path, items)
    assert not answer(worker, decoder, file, cache="quantized:fp8").failed
    assert len(answers_by_line(worker)) == 3


def test_pairs_and_queries_go_by_the_cosine_of_means(worker: InlineWorker, tmp_path: Path) -> None:
    encoder = tiny_models.add_tokenizer(tiny_models.bert(tmp_path / "bert"))
    texts = ["a cat", "a dog sat here", "no", "what is 2 + 2"]
    pairs = [{"a": a, "b": b, "score": n} for n, a in enumerate(texts) for b in texts[n:]]
    assert not answer(worker, encoder, write(tmp_path, pairs)).failed
    given = answers_by_line(worker)
    model, tokenizer = load_plainly(encoder, "AutoModel")

    def embed(text: str) -> torch.Tensor:
        with torch.inference_mode():
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state
        return states[0].double().mean(0)

    for line, pair in enumerate(pairs, start=1):
        one, other = embed(pair["a"]), embed(pair["b"])
        cosine = float(torch.nn.functional.cosine_similarity(one, other, dim=0))
        assert given[line][0] == pytest.approx(cosine, abs=1e-5)
    queries = [
        {"query": "a cat", "relevant": ["a cat", "what is 2 + 2"], "k": 1},
        {"document": "a dog sat here"},
        {"query": "no", "relevant": ["no"], "k": 2},
    ]
    assert not answer(worker, encoder, write(tmp_path, queries)).failed
    assert answers_by_line(worker) == {1: (0.5, "a cat"), 3: (1.0, "no")}


@pytest.mark.parametrize("state", [0.5, float("nan")])
def test_embeddings_without_an_order_are_equal_similarities_or_no_answers(
    worker: InlineWorker, tmp_path: Path, state: float
) -> None:
    """Sentences of unequal length differ by the rounding of their means alone."""
    encoder = tiny_models.add_tokenizer(tiny_models.bert(tmp_path / "bert"))
    tensors = load_file(encoder / "model.safetensors")
    last = max(name for name in tensors if name.endswith("output.LayerNorm.weight"))
    tensors[last][:] = 0
    bias = tensors[last.replace("weight", "bias")]
    bias[:] = state * (1 + np.arange(bias.size) / 7)
    save_file(tensors, encoder / "model.safetensors", metadata={"format": "pt"})
    pairs = [{"a": "a" * n, "b": "no " * n, "score": n} for n in range(1, 12)]
    failed = answer(worker, encoder, write(tmp_path, pairs)).failed
    if state == state:
        assert {score for score, _ in answers_by_line(worker).values()} == {1.0} and not failed
    else:
        assert "NaN or Inf in an embedding" in failed and not worker.of(events.TaskAnswers)


def test_heads_name_classes_and_masked_words(worker: InlineWorker, tmp_path: Path) -> None:
    classifier = tiny_models.add_tokenizer(
        tiny_models.bert_with_head(tmp_path / "c", "SequenceClassification")
    )
    model, tokenizer = load_plainly(classifier, "AutoModelForSequenceClassification")
    texts = ("a cat", "a dog", "no")
    with torch.inference_mode():
        rows = [model(**tokenizer(text, return_tensors="pt")).logits for text in texts]
    best = [int(row.argmax()) for row in rows]
    names = [("bad", "fair", "good")[place] for place in best]
    wrong = next(name for name in ("bad", "fair", "good") if name != names[2])
    right = (names[0], best[1], wrong)
    labels = [{"text": a, "label": b} for a, b in zip(texts, right, strict=True)]
    assert not answer(worker, classifier, write(tmp_path, labels)).failed
    scores = zip((1.0, 1.0, 0.0), names, strict=True)
    assert answers_by_line(worker) == dict(enumerate(scores, start=1))
    for label, step in (("goood", "did you mean good?"), (3, "classes: bad, fair, good")):
        file = write(tmp_path, [*labels, {"text": "d", "label": label}])
        failed = answer(worker, classifier, file).failed
        assert failed == f"{file}, line 4: '{label}' is no class of this model: {step}"
        assert not worker.of(events.TaskAnswers)

    filler = tiny_models.add_tokenizer(tiny_models.bert_with_head(tmp_path / "m", "MaskedLM"))
    model, tokenizer = load_plainly(filler, "AutoModelForMaskedLM")
    fills = [{"text": f"{letter} [MASK] c", "answer": "b"} for letter in "ab"]
    with torch.inference_mode():
        rows = [model(**tokenizer(one["text"], return_tensors="pt")).logits[0, 2] for one in fills]
    likeliest = [tokenizer.decode([int(row.argmax())]).strip() for row in rows]
    assert not answer(worker, filler, write(tmp_path, fills)).failed
    assert {line: text for line, (_, text) in answers_by_line(worker).items()} == dict(
        enumerate(likeliest, start=1)
    )
    fills = [{"text": "a [MASK] c", "answer": "long"}]
    failed = answer(worker, filler, write(tmp_path, fills)).failed
    assert "line 1: 'long' is not one token of this model" in failed


def test_an_item_that_is_too_long_is_named_before_any_is_answered(
    worker: InlineWorker, tmp_path: Path, decoder: Path
) -> None:
    good = {"question": "a is", "choices": ["b", "c"], "answer": 0}
    file = write(tmp_path, [good, {**good, "question": "a" * 80}])
    failed = answer(worker, decoder, file).failed
    assert failed == (
        f"{file}, line 2 has 81 tokens and the model reads 64: shorten it or leave it out"
    )
    assert not worker.of(events.TaskAnswers)


@pytest.mark.parametrize(
    ("items", "where"),
    [
        ([{"a": "a", "b": "b" * (n + 80 * (n == 40)), "score": n} for n in range(1, 42)], 40),
        (
            [
                {"query": "a" * (n + 80 * (n == 40)), "relevant": ["a", "b"], "k": 1}
                for n in range(1, 42)
            ],
            40,
        ),
        (
            [
                {"query": "a", "relevant": ["a"], "k": 1},
                {"query": "b", "relevant": ["a" * 80], "k": 1},
            ],
            2,
        ),
        ([{"query": "a", "relevant": ["a"], "k": 1}, {"document": "a" * 80}], 0),
    ],
)
def test_texts_of_encoders_that_are_too_long_are_named_as_early(
    worker: InlineWorker, tmp_path: Path, items: list[dict[str, Any]], where: int
) -> None:
    encoder = tiny_models.add_tokenizer(tiny_models.bert(tmp_path / "bert"))
    failed = answer(worker, encoder, write(tmp_path, items)).failed
    at = f", line {where} has " if where else ": a document has "
    assert at in failed and "tokens and the model reads" in failed
    assert not worker.of(events.TaskAnswers)


def test_what_does_not_fit_is_said(worker: InlineWorker, tmp_path: Path, decoder: Path) -> None:
    file = write(tmp_path, [{"question": "a is", "choices": ["b", "c"], "answer": 0}])
    assert (
        "random weights answer by chance" in answer(worker, decoder, file, weights="random").failed
    )
    encoder = tiny_models.add_tokenizer(tiny_models.bert(tmp_path / "bert"))
    assert (
        answer(worker, encoder, file).failed
        == "multiple choice needs a decoder: name one, or leave this task out"
    )
    bare = tiny_models.gpt2(tmp_path / "bare")
    assert "needs the model's tokenizer" in answer(worker, bare, file).failed
    task = task_file.describe_task(str(file), "quiz")
    write(tmp_path, [{"question": "b is", "choices": ["b", "c"], "answer": 0}])
    cell = Cell(id="c", model=str(decoder), device="cpu")
    worker.follow(commands.Answer(cell=cell, task=task, tells_items=True, started_ns=0, seed=0))
    assert "is not the file of the plan any more" in worker.of(events.TaskAnswered)[0].failed
