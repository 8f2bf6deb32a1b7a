"""Runbooks at an address: fetched, kept as a file of this machine, and then run as one."""
