"""Functions from events to what a person sees. No view knows the engine or a kernel."""
