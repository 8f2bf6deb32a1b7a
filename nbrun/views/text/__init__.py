"""Events and run states in words, and text made safe to show."""
