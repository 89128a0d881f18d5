"""What a model and its reference are given to read: a fixed English text, else random tokens."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from typing import Any

import torch

from txtop.sanitise import sanitise
from txtop.worker.loading.load import Loaded
from txtop.worker.loading.source import Source

_MOST_TOKENS = {"causal": 512, "seq2seq": 512, "encoder": 128}
_PROMPT, _WRITTEN = 32, 128
# Random weights have no meaning to compare, and NaN shows early.
_POSITIONS_RANDOM, _WRITTEN_RANDOM = 64, 8
_LEAST_DISTINCT = 32


@dataclass(frozen=True)
class Window:
    """int64 ids of shape (n,): what is read in one pass, and the true token at each position."""

    ids: torch.Tensor
    targets: torch.Tensor


@dataclass(frozen=True)
class Passage:
    """The input of a comparison: `windows` that go on where the last ended, and a `prompt` (ids of
    shape (n,)) from which `written` tokens are written. Without a `tokenizer` it is no text."""

    windows: list[Window]
    prompt: torch.Tensor
    written: int
    tokenizer: Any
    notes: list[str]

    @property
    def positions(self) -> int:
        """How many tokens are read."""
        return sum(len(window.ids) for window in self.windows)

    @property
    def sha256(self) -> str:
        """Of the int64 ids, window by window."""
        digest = hashlib.sha256()
        for window in self.windows:
            digest.update(window.ids.numpy().tobytes())
        return digest.hexdigest()

    def fitting(self, positions: int) -> Passage:
        """As many whole windows as have at most so many positions, but at least one."""
        kept: list[Window] = []
        left = positions
        for window in self.windows:
            left -= len(window.ids)
            if left < 0 and kept:
                break
            kept.append(window)
        if len(kept) == len(self.windows):
            return self
        fewer = replace(self, windows=kept)
        note = f"{fewer.positions} of {self.positions} positions: no room on disk for more"
        return replace(fewer, notes=[*self.notes, note])


@dataclass(frozen=True)
class _Spelling:
    """Ids of a text, and those that its tokenizer puts before and after one of its own accord."""

    ids: list[int]
    before: list[int]
    after: list[int]


def make(loaded: Loaded, trained: bool, positions: int, seed: int) -> Passage:
    """For `loaded`, at least `positions` tokens: a text if its weights are `trained` and there is a
    tokenizer that knows English, else seeded ids. Fewer for weights that are random."""
    tokenizer: Any = None
    spelling: _Spelling | None = None
    notes: list[str] = []
    if trained:
        tokenizer, spelling, notes = _spelled(loaded)
    else:
        positions = min(positions, _POSITIONS_RANDOM)
    wanted = positions + _PROMPT + 1
    if spelling is None:
        generator = torch.Generator().manual_seed(seed)
        ids = torch.randint(loaded.vocabulary, (wanted,), generator=generator).tolist()
        spelling = _Spelling(ids, [], [])
    elif len(spelling.ids) < wanted:
        times = math.ceil(wanted / len(spelling.ids))
        notes.append(f"the text is shorter than {positions} tokens and was read again")
        spelling = replace(spelling, ids=spelling.ids * times)
    if loaded.family == "causal":
        spelling = replace(spelling, after=[])
    windows = _windows(spelling, loaded, positions)
    prompt, written = _writing(spelling, loaded, _WRITTEN if trained else _WRITTEN_RANDOM)
    return Passage(windows, prompt, written, tokenizer, notes)


def _windows(spelling: _Spelling, loaded: Loaded, positions: int) -> list[Window]:
    """A decoder's true token is the next one, so that the last of a window is the first that the
    next one reads; the others read what they are to say."""
    before, after = spelling.before, spelling.after
    ahead = 1 if loaded.family == "causal" else 0
    longest = _MOST_TOKENS[loaded.family]
    if loaded.positions is not None:
        longest = min(longest, loaded.positions - 1)
    around = len(before) + len(after)
    found, place = [], 0
    while positions > 0:
        length = max(min(longest, positions), around + 1)
        own = length - around
        ids = torch.tensor(before + spelling.ids[place : place + own + ahead] + after)
        found.append(Window(ids[:length], ids[ahead:]))
        place, positions = place + own, positions - length
    return found


def _writing(spelling: _Spelling, loaded: Loaded, written: int) -> tuple[torch.Tensor, int]:
    """The prompt of free writing, and how many tokens there is room to write."""
    before, after, most = spelling.before, spelling.after, loaded.positions
    length = _PROMPT if most is None else min(_PROMPT, most // 2)
    own = max(1, length - len(before) - len(after))
    prompt = torch.tensor(before + spelling.ids[:own] + after)
    if most is not None:
        written = max(0, min(written, most - len(prompt)))
    return prompt, written


def _spelled(loaded: Loaded) -> tuple[Any, _Spelling | None, list[str]]:
    """The tokenizer and the text in its ids; null and a note where there is none of use."""
    try:
        tokenizer = _tokenizer(loaded.source)
        spelling = _spell(tokenizer)
    except Exception as error:
        why = sanitise(str(error).strip() or type(error).__name__, 100)
        return None, None, [f"no tokenizer ({why}): random tokens were read instead of text"]
    # From a directory without its files the library makes an empty one, which knows no word.
    if len(set(spelling.ids)) < _LEAST_DISTINCT:
        why = "no tokenizer"
    elif max(spelling.ids + spelling.before + spelling.after) >= loaded.vocabulary:
        why = "the tokenizer has more tokens than the model"
    else:
        return tokenizer, spelling, []
    return None, None, [f"{why}: random tokens were read instead of text"]


def _tokenizer(source: Source) -> Any:
    from transformers import AutoTokenizer

    where = {"gguf_file": source.gguf} if source.gguf else {}
    return AutoTokenizer.from_pretrained(
        source.directory, local_files_only=True, trust_remote_code=source.own_code, **where
    )


def _spell(tokenizer: Any) -> _Spelling:
    def ids(text: str, special: bool) -> list[int]:
        found: list[int] = tokenizer(text, add_special_tokens=special)["input_ids"]
        return found

    word, whole = ids("water", False), ids("water", True)
    starts = range(len(whole) - len(word) + 1)
    at = next((i for i in starts if whole[i : i + len(word)] == word), None)
    if at is None:
        return _Spelling(ids(TEXT, False), [], [])
    return _Spelling(ids(TEXT, False), whole[:at], whole[at + len(word) :])


TEXT = """\
The lamp in the harbour office was already lit when Marta Ilves came down the hill with the post \
in a canvas bag. It had rained since four, a thin rain that did not fall so much as hang in the \
air, and the cobbles shone like the backs of fish. She counted the boats from habit. There \
should have been eleven. There were ten, and the gap at the end of the jetty, where the Lapwing \
usually lay, looked wider than a single boat could explain.

Nobody had seen her leave. The old man who mended nets under the awning said that he had heard \
an engine during the night, but he heard engines every night, and most of them belonged to a war \
that had ended before Marta was born. The baker, who was up before anyone, had noticed only that \
the gulls were quiet. So she did what she always did when a thing refused to make sense: she \
went inside, hung her coat on the hook behind the door, put the kettle on the ring, and opened \
the ledger at the page for the day before.

Every arrival and every departure stood there in her own small handwriting. Seven boats out at \
dawn, seven back by dusk; two that stayed at their moorings for repairs; one that carried cement \
to the lighthouse and came home empty. The Lapwing was the eleventh. Beside her name there was \
no time at all, only a short pencil line, as if somebody had begun to write and had then been \
called away. Marta held the page up to the window. The pencil had been pressed so hard that it \
had left a groove in the paper, and the groove went on after the lead had stopped.

"You are early," said a voice from the stairs.

"So are you, and you don't work here," Marta answered without turning round. "Where is your \
brother?"

Tomas came down the last three steps slowly, one hand on the rail. He was nineteen and had the \
careful walk of someone who had been told not to run. "I was going to ask you the same thing. He \
didn't come home. His bed hasn't been slept in."

"Did he say anything?"

"He said the weather would turn on Thursday."

"Today is Wednesday."

"I know what day it is." He sat down on the coal box. "He asked me how far it was to the Skerry \
light if you kept the church tower over the red shed. I told him four miles. He said it was \
nearer five, because of the current, and that I ought to learn to read a table before I learned \
to steer."

Marta poured two cups of tea and pushed one across the desk. In the drawer under the ledger lay \
the little grey book that the office bought every January, with its columns of times and \
heights, and she opened it to the middle of March and ran a finger down the page until she found \
the row she wanted.

HOW TO READ A TIDE TABLE

A tide table lists, for one place, the times at which the sea is highest and lowest on each day \
and how high it then stands above a fixed level called the chart datum. On most coasts there are \
two high waters and two low waters in a little less than twenty-five hours, so every tide comes \
about fifty minutes later than the same tide of the day before. If high water today is at 09:10, \
you may expect it tomorrow at about 10:00.

The difference between a high water and the low water that follows is the range. It is not \
constant. When the sun and the moon pull along the same line, at new moon and at full moon, the \
range is large and we speak of spring tides; when they pull at right angles, at the half moons, \
the range is small and we speak of neaps. The name has nothing to do with the season: springs \
come twice in every month of the year, a day or two after the moon that causes them.

Between the two extremes the water does not rise evenly. A simple rule divides the six hours \
into twelfths of the range. In the first hour the sea rises by one twelfth, in the second by \
two, in the third and in the fourth by three each, in the fifth by two again, and in the last by \
one. With a range of 4.8 metres, for example, one twelfth is 0.4 metres, and three hours after \
low water the level has risen by six twelfths, which is 2.4 metres. The rule is an \
approximation. Strong wind, low air pressure and the shape of an estuary can each change the \
level by half a metre or more, so a careful skipper keeps something in hand.

Date      High    Height   Low     Height   Range
11 March  05:42   5.1 m    11:54   0.9 m    4.2 m
12 March  06:25   5.4 m    12:38   0.6 m    4.8 m
13 March  07:06   5.6 m    13:19   0.4 m    5.2 m
14 March  07:47   5.6 m    13:59   0.4 m    5.2 m
15 March  08:28   5.4 m    14:38   0.7 m    4.7 m

BARLEY SOUP WITH LEEKS (for four people)

You need 150 g of pearl barley, two large leeks, one onion, two carrots, a stick of celery, 40 g \
of butter, a bay leaf, 1.5 litres of vegetable stock, a small bunch of parsley, salt, black \
pepper, and a spoonful of vinegar.

1. Rinse the barley in cold water until the water runs clear, and leave it to drain.
2. Cut the leeks lengthwise, wash out the grit between the leaves, and slice them thinly. Chop \
the onion. Dice the carrots and the celery.
3. Melt the butter in a heavy pot over a low heat. Add the onion and the leeks with a pinch of \
salt and let them soften for ten minutes without taking any colour.
4. Stir in the barley and let it toast for two minutes. Add the carrots, the celery, the bay \
leaf and the stock, and bring everything to the boil.
5. Turn the heat down, cover the pot, and simmer for about 45 minutes, stirring now and then. \
The barley should be tender but not mushy. If the soup becomes too thick, add a cup of hot \
water.
6. Take out the bay leaf, season with pepper and vinegar, and scatter the chopped parsley over \
the top. It tastes better on the second day.

NOTES FROM THE WORKSHOP

The pump had been losing pressure for a week before anyone wrote it down. On Monday the gauge \
stood at 3.2 bar, on Tuesday at 3.1, and by Friday morning it was below 2.4, which is the point \
at which the upstairs taps begin to cough. We replaced the washer, then the valve, and finally \
the whole fitting, and each time the needle climbed back for a few hours and sank again. In the \
end it was Ana who put her ear to the wall and heard the water running where no pipe was drawn \
on the plan. Somebody, many years ago, had connected the garden to the house and told nobody. \
The moral is an old one: before you repair the part that complains, find out whether it has a \
reason.

To keep this from happening again, the readings are now collected by a short program. It looks \
at the last few values, works out how fast the pressure is falling, and says how many hours are \
left before somebody has to be woken up.

def hours_left(readings, limit=2.4):
    # Each reading is a pair of the hour and the pressure in bar.
    if len(readings) < 2:
        return None
    hours = [hour for hour, _ in readings]
    values = [value for _, value in readings]
    mean_hour = sum(hours) / len(hours)
    mean_value = sum(values) / len(values)
    above = sum((h - mean_hour) * (v - mean_value) for h, v in readings)
    below = sum((h - mean_hour) ** 2 for h in hours)
    slope = above / below
    if slope >= 0:
        return None
    return (limit - values[-1]) / slope


for name, readings in sorted(house.items()):
    left = hours_left(readings)
    if left is not None and left < 12:
        print(f"{name}: call Ana within {left:.0f} hours")

A LETTER

Dear Mr Okafor,

Thank you for your message of 3 May about the reading room. You are quite right that the windows \
on the north side no longer close, and I am sorry that the draught spoiled your afternoon. The \
carpenter has looked at them twice. He tells me that the frames have shrunk because the heating \
was left on through the whole of a dry winter, and that new seals would cost about 640 pounds, \
which is a little more than we spend on newspapers in a year.

May I suggest a compromise? The long table beneath the gallery is warm, well lit, and seldom \
used before noon. I have asked my colleague Miss Brandt to keep a place for you there on \
Tuesdays and Fridays until the work is done, together with the maps that you ordered from the \
county archive. Two of the sheets are too fragile to be copied, so please bring a pencil rather \
than a pen.

As for your other question, the answer is yes: the first mill stood upstream of the bridge and \
not, as the guidebook has it, beside the church. The deed of 1783 mentions a wheel of fourteen \
feet and a right of way for one cart. If you find out who owned the cart, I hope you will let us \
know.

With kind regards,
Helen Strand, Librarian

THE MARKET ON SATURDAY

By half past eight the square is full. The woman with the eggs has sold all but the smallest \
ones; the man with the knives has not sold any, but he has sharpened forty. A boy is trying to \
persuade his father that a rabbit costs nothing to keep. Under the arches two musicians tune \
their fiddles against each other and quarrel, politely, about who is flat. If you want good \
bread you have to queue, and if you queue you will hear the news: that the bus to the valley \
will stop running in October, that the new doctor is from Lisbon and plays chess, that the \
bridge is to be painted green again, although everyone liked it better when it was blue.

Stall        Sold   Price   Total
Eggs         312    0.35    109.20
Honey        27     6.50    175.50
Bread        184    3.20    588.80
Apples (kg)  96     2.10    201.60
Sharpening   40     4.00    160.00

Together that makes 1,235.10, about 8 per cent more than a week ago and 3 per cent less than on \
the same Saturday last year, when the sun was out. The square itself earns 5 per cent of it, or \
61.76, which pays for the sweeping.

WEATHER AND ROADS

A band of rain will cross the islands from the west this evening and clear by midnight. Tomorrow \
begins dry and cold, with fog in the valleys and ice on the higher roads until about ten; the \
afternoon will be bright, with a light wind from the north-east and temperatures between 4 and 7 \
degrees. On Friday the pressure falls again. Gales are expected in the outer sounds, and the \
crossing at 15:30 may be cancelled. Drivers should note that the pass is closed to lorries of \
more than 7.5 tonnes, and that the lay-by at kilometre 18 has been washed out.

QUESTIONS AT THE END OF THE TOUR

Why is the roof made of two kinds of slate? Because the first quarry was exhausted in 1841, nine \
years before the house was finished. How many people lived here? At the most twenty-six, of whom \
nineteen were paid. Is the piano ever played? Once a year, on the first Sunday in June, and it \
is tuned on the Saturday. Where does the third door lead? Nowhere: behind it there is a wall, a \
broom, and the signature of the man who built it.

HOW TO MEND A PUNCTURE

Turn the bicycle upside down and take the wheel out of the frame. Let out whatever air is left, \
push one lever under the edge of the tyre, hook it to a spoke, and work the second lever round \
until one side is free. Draw out the tube, pump it up a little, and hold it close to your cheek: \
you will feel the leak before you see it. Mark the place. Roughen it with the sandpaper, spread \
a thin coat of glue that is larger than the patch, and wait until it looks dull. Most people do \
not wait. Press the patch on firmly from the middle outwards, dust it with chalk, and, before \
you put everything back, run your fingers along the inside of the tyre, because the thorn that \
made the hole is very often still there.

It was almost dark again when the Lapwing came round the point with her lights out and a second \
boat in tow. Marta saw her first, and then everyone did, and for a moment nobody on the jetty \
said a word. Tomas ran, although he had been told not to. His brother threw him a rope and \
laughed, and his left hand was wrapped in somebody else's scarf.

"Five miles," he called across the water. "I told you it was nearer five."

Marta went back inside, sharpened her pencil, and wrote down the time.
"""
