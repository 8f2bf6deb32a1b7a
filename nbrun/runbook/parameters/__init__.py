"""Typed parameters: declare, resolve, check, and write as literals."""
