"""Other runbooks whose steps a runbook includes: pinned by hash, with parameters of their own."""
