"""Commands that help to write runbooks. None of them runs a step."""
