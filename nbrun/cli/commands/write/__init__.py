"""Commands that help to write runbooks. They run nothing."""
