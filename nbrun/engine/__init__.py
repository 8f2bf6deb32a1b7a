"""The run loop: decisions in, events out."""
