"""Renderers of one Jupyter output, Markdown cell or source, for a terminal (rich) or as HTML."""
