"""What a program asks of a run and tells it: where it stands, and a decision."""
