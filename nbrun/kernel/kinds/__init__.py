"""Knowledge of single kernels: how each reports failures, and how to learn of the others."""
