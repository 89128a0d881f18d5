"""The process that watches: host, GPUs and chosen processes, sampled a few times a second.

It is started as a command (`python -m txtop.sampler`) and never imported by the rest, because
NVML can hang in the kernel or take down the process that calls it.
"""
