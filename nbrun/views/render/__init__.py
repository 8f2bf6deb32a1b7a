"""Render one Jupyter output or source with rich or as HTML."""
