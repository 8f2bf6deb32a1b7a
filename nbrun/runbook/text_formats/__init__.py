"""Runbooks that are text: Markdown and its relatives, and scripts with cell markers."""
