"""Verify records, seal them with signatures, and forward them."""
