"""The data model of a run: frozen events and decisions, and pure functions over them."""
