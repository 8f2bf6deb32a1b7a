"""Commands that read, verify or export records."""
