"""papermill's engine `nbrun`: papermill's output notebook, and nbrun's record beside it."""
