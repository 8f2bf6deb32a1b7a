"""What a run is: frozen events and decisions, and pure functions over them."""
