"""The process that samples host, GPUs and chosen processes a few times a second.

It is started as a command (`python -m txtop.sampler`) and never imported by other packages, because
NVML can hang in the kernel or crash the process that calls it.
"""
