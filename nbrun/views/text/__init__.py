"""Events and states in words, and text made safe to show."""
