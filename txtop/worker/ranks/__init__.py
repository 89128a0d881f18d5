"""One model over several processes: those processes, their group in torch, and their lockstep."""
