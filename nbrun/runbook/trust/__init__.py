"""The rules of nbrun.toml about which runbooks may run, and the git repository of a runbook."""
