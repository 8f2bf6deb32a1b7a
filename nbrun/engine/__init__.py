"""The run loop: takes decisions and kernel messages, records events."""
