"""What can be decided where a run stands, by whom, and what each decision still needs."""
