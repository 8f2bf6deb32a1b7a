"""Programs that run a notebook in other ways than nbrun does, each a process of its own."""
