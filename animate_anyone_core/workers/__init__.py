"""Who does tasks: this process, several of this machine, or a Ray cluster."""
