"""Programs that run a notebook without nbrun, each in a process of its own."""
