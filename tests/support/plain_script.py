"""Time a cell by hand: `plain_script.py gpt2|bert THREADS PROMPT NEW`. A line in is one call."""

import json
import sys
import time

import torch
from transformers import BertConfig, BertModel, GPT2Config, GPT2LMHeadModel

kind, threads, prompt, new = sys.argv[1], *map(int, sys.argv[2:])
torch.set_num_threads(threads)
model = (GPT2LMHeadModel(GPT2Config()) if kind == "gpt2" else BertModel(BertConfig())).eval()
ids = torch.randint(30_000, (1, prompt))
mask = torch.ones_like(ids)


class Clock(list):  # generate() puts the prompt into its streamer first, then each token
    def put(self, _: object) -> None:
        self.append(time.perf_counter())

    def end(self) -> None:
        pass


print("ready", flush=True)
for _ in sys.stdin:
    clock, start = Clock(), time.perf_counter()
    with torch.inference_mode():
        if kind == "gpt2":
            model.generate(ids, attention_mask=mask, max_new_tokens=new, do_sample=False,
                           eos_token_id=None, streamer=clock)  # fmt: skip
        else:
            model(input_ids=ids, attention_mask=mask)
            clock.put(None)
    print(json.dumps([at - start for at in clock]), flush=True)
