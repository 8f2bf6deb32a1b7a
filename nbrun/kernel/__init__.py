"""One Jupyter kernel: start it, exchange messages with it, watch it and end it."""
