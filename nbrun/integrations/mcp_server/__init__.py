"""nbrun for programs that speak the Model Context Protocol: runbooks, runs and decisions as tools.

The other end is not trusted. It sees the runbooks of one folder and the runs of these, and what it
decides is held to the policy for programs like any program's decision.
"""
