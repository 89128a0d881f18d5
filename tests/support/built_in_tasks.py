"""Make the tasks that ship with txtop; `python tests/support/built_in_tasks.py` writes them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[2] / "txtop" / "tasks" / "data"
Entry = dict[str, Any]

CAPITALS = """France Paris|Germany Berlin|Italy Rome|Spain Madrid|Portugal Lisbon|Austria Vienna
Poland Warsaw|Greece Athens|Norway Oslo|Sweden Stockholm|Denmark Copenhagen|Finland Helsinki
Ireland Dublin|Hungary Budapest|Russia Moscow|Japan Tokyo|China Beijing|India Delhi|Egypt Cairo
Turkey Ankara|Iran Tehran|Iraq Baghdad|Cuba Havana|Canada Ottawa|Kenya Nairobi|Peru Lima
Chile Santiago|Thailand Bangkok|Vietnam Hanoi|Belgium Brussels|Australia Canberra|Ukraine Kyiv
Romania Bucharest|Bulgaria Sofia|Serbia Belgrade|Iceland Reykjavik|Lebanon Beirut|Syria Damascus
Indonesia Jakarta|Colombia Bogota|Ethiopia Addis_Ababa|Nepal Kathmandu|Qatar Doha|Ghana Accra"""
OPPOSITES = """hot cold|big small|fast slow|open closed|early late|high low|wet dry|full empty
light dark|rich poor|young old|strong weak|hard soft|near far|clean dirty|loud quiet|thick thin
true false|happy sad|up down|left right|first last|inside outside|buy sell|win lose|push pull
begin end|love hate|remember forget|question answer|north south|day night|alive dead|safe dangerous
sharp blunt|deep shallow|wide narrow|heavy light|arrive leave|accept refuse"""
KINDS = """apple fruit|banana fruit|carrot vegetable|potato vegetable|rose flower|tulip flower
oak tree|pine tree|dog animal|horse animal|eagle bird|sparrow bird|salmon fish|trout fish
hammer tool|saw tool|piano instrument|violin instrument|red color|blue color|gold metal|iron metal
shirt clothing|jacket clothing|chair furniture|table furniture|car vehicle|truck vehicle
bee insect|ant insect|January month|Monday day|doctor profession|teacher profession
triangle shape|circle shape|football sport|tennis sport|bread food|cheese food|Mars planet
Saturn planet|dollar currency|euro currency|physics science|chemistry science
London city|Nile river"""
PLACES = """fish water|books a_library|milk a_refrigerator|cars a_garage|bread a_bakery
planes an_airport|patients a_hospital|students a_school|trains a_station|stars the_sky
money a_bank|animals a_zoo|ships a_harbor|plays a_theater|pictures a_museum|sand a_beach
snow the_mountains|clothes a_closet|dishes a_kitchen|prisoners a_prison|soldiers an_army
bees a_hive|birds a_nest|paintings a_gallery|medicine a_pharmacy"""
SINGULAR = [
    "key",
    "dog",
    "teacher",
    "car",
    "book",
    "child",
    "letter",
    "house",
    "tree",
    "window",
    "doctor",
    "bird",
    "story",
    "road",
]
PLURALS = {"child": "children", "story": "stories"}
BETWEEN = (
    "near the {n}", "behind the {n}", "beside the {n}", "from the {n}", "with the {n}",
    "that the {n} remembers", "of the {n}",
)  # fmt: skip
NEIGHBOURS = [
    "cabinet",
    "garden",
    "farmer",
    "town",
    "river",
    "wall",
    "king",
    "school",
    "ship",
    "bridge",
]
PREDICATES = (
    "very old.", "not here.", "still missing.", "ready now.", "quite small.", "on the list.",
    "well known.", "about to leave.",
)  # fmt: skip
WORDS = [
    "apple",
    "river",
    "stone",
    "paper",
    "green",
    "window",
    "table",
    "music",
    "silver",
    "garden",
    "winter",
    "bread",
    "candle",
    "mountain",
    "orange",
    "forest",
    "bridge",
    "yellow",
    "pencil",
    "doctor",
    "planet",
    "summer",
    "ladder",
    "bottle",
    "carpet",
    "button",
    "island",
    "market",
    "pepper",
    "rabbit",
    "castle",
]
# Each slot of a sentence has entries that mean the same.
SUBJECTS = (
    ("A man", "A guy"), ("A woman", "A lady"), ("A little boy", "A small boy"),
    ("Two children", "Two kids"), ("The dog", "The hound"), ("An old farmer", "An elderly farmer"),
    ("The engineer", "The technician"), ("A crowd of people", "A large group of people"),
)  # fmt: skip
VERBS = (
    ("is eating {o}", "is having {o} to eat", ("an apple", "some bread", "a bowl of soup")),
    ("is carrying {o}", "is holding and moving {o}", ("a heavy box", "a wooden chair", "a bag")),
    ("is looking at {o}", "is watching {o}", ("the sea", "a painting", "the night sky")),
    ("is repairing {o}", "is fixing {o}", ("a bicycle", "the roof", "an old radio")),
    ("is running after {o}", "is chasing {o}", ("a ball", "the bus", "a cat")),
)
WHERE = (
    ("in the garden", "in the yard"), ("on the street", "on the road"),
    ("near the station", "close to the station"), ("at home", "in the house"),
    ("on the beach", "at the seaside"), ("in the evening", "at nightfall"),
)  # fmt: skip


def pairs_of(table: str) -> list[tuple[str, str]]:
    entries = (entry.split() for line in table.splitlines() for entry in line.split("|"))
    return [(one.replace("_", " "), other.replace("_", " ")) for one, other in entries]


def choose(rng: random.Random, right: str, others: list[str], count: int = 3) -> Entry:
    wrong = rng.sample(sorted({other for other in others if other != right}), count)
    choices = [right, *wrong]
    rng.shuffle(choices)
    return {"choices": choices, "answer": choices.index(right)}


def make_facts(rng: random.Random) -> Iterator[Entry]:
    for table, question in (
        (CAPITALS, "The capital of {} is"),
        (OPPOSITES, 'The opposite of "{}" is'),
        (KINDS, "Question: What kind of thing is {}?\nAnswer: a kind of"),
        (PLACES, "The best place to look for {} is"),
    ):
        pairs = pairs_of(table)
        for one, other in pairs:
            yield {"question": question.format(one)} | choose(rng, other, [b for _, b in pairs])


def make_arithmetic(rng: random.Random) -> Iterator[Entry]:
    given = set()
    while len(given) < 300:
        a, b, plus = rng.randint(1, 30), rng.randint(1, 20), rng.random() < 0.6
        if (a, b, plus) in given or (not plus and b > a):
            continue
        given.add((a, b, plus))
        right = a + b if plus else a - b
        near = [str(right + step) for step in (-10, -2, -1, 1, 2, 10) if right + step >= 0]
        question = f"2 + 3 = 5\n9 - 4 = 5\n{a} {'+' if plus else '-'} {b} ="
        yield {"question": question} | choose(rng, str(right), near)


def make_agreement(rng: random.Random) -> Iterator[Entry]:
    given = set()
    while len(given) < 300:
        noun, several = rng.choice(SINGULAR), rng.random() < 0.5
        other = rng.choice(NEIGHBOURS)
        # The noun beside the verb has the other number.
        beside = rng.choice(BETWEEN).format(n=other if several else f"{other}s")
        beside = beside if several else beside.replace("remembers", "remember")
        subject = PLURALS.get(noun, f"{noun}s") if several else noun
        predicate = rng.choice(PREDICATES)
        question = f"The {subject} {beside}"
        if (question, predicate) in given:
            continue
        given.add((question, predicate))
        choices = [f"are {predicate}", f"is {predicate}"]
        yield {"question": question, "choices": choices, "answer": 0 if several else 1}


def make_copying(rng: random.Random) -> Iterator[Entry]:
    example = rng.sample(WORDS, 4)
    for _ in range(120):
        row = rng.sample(WORDS, rng.randint(3, 7))
        backwards = rng.random() < 0.25
        rule = "Backwards" if backwards else "Copy"
        turned = example[::-1] if backwards else example
        prompt = (
            f"{rule}: {', '.join(example)}\nResult: {', '.join(turned)}\n"
            f"{rule}: {', '.join(row)}\nResult:"
        )
        answer = ", ".join(row[::-1] if backwards else row)
        yield {"prompt": prompt, "answer": answer, "max_tokens": 24}


def make_sentence(slots: tuple[int, int, int, int], again: bool = False, bare: bool = False) -> str:
    subject, verb, thing, place = slots
    form, same, things = VERBS[verb]
    what = (same if again else form).format(o=things[thing])
    return (
        " ".join([SUBJECTS[subject][again], what, *([] if bare else [WHERE[place][again]])]) + "."
    )


def make_pairs(rng: random.Random) -> Iterator[Entry]:
    """Yield pairs whose score falls with the parts of the meaning that differ."""
    sizes = (len(SUBJECTS), len(VERBS), 3, len(WHERE))
    for number in range(300):
        grade = number % 6
        one = tuple(rng.randrange(size) for size in sizes)
        # What is done weighs most: 5 the same in other words, 4 without the place, 3 at another
        # place, 2 by another, 1 something else done to another thing, 0 all of it.
        changed = {5: (), 4: (), 3: (3,), 2: (0, 3), 1: (1, 2), 0: (0, 1, 2, 3)}[grade]
        other = tuple(
            (value + 1 + rng.randrange(size - 1)) % size if place in changed else value
            for place, (value, size) in enumerate(zip(one, sizes, strict=True))
        )
        a = make_sentence(one)  # type: ignore[arg-type]
        b = make_sentence(other, again=grade in (4, 5), bare=grade == 4)  # type: ignore[arg-type]
        yield {"a": a, "b": b, "score": float(grade)}


def make_search(rng: random.Random) -> Iterator[Entry]:
    capitals, kinds, places = pairs_of(CAPITALS), pairs_of(KINDS), pairs_of(PLACES)
    for country, city in capitals:
        document = f"{city} is the seat of the government of {country}."
        yield {"query": f"capital city of {country}", "relevant": [document], "k": 1}
        yield {"document": f"Many travellers from {country} never visit a capital city."}
    for thing, kind in kinds:
        yield {
            "query": f"what is {thing}",
            "relevant": [f"{thing} belongs to the class {kind}."],
            "k": 1,
        }
    for thing, place in places:
        document = f"People who want {thing} go to {place}."
        yield {"query": f"where can I find {thing}?", "relevant": [document], "k": 1}


TASKS: dict[str, Callable[[random.Random], Iterator[Entry]]] = {
    "agreement": make_agreement,
    "arithmetic": make_arithmetic,
    "copying": make_copying,
    "facts": make_facts,
    "pairs": make_pairs,
    "search": make_search,
}


def encode_task(name: str) -> bytes:
    entries = TASKS[name](random.Random(7))
    return "".join(json.dumps(entry) + "\n" for entry in entries).encode()


if __name__ == "__main__":
    for task in TASKS:
        (DATA / f"{task}.jsonl").write_bytes(encode_task(task))
