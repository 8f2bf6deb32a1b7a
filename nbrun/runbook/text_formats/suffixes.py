"""The suffixes of text runbooks. Completion imports this module at each Tab."""

from pathlib import Path

MARKDOWN = (".md", ".markdown", ".rmd", ".qmd", ".myst", ".mystnb", ".mnb")

# Scripts that jupytext reads, and the language of their cells
SCRIPTS = {
    ".clj": "clojure",
    ".cpp": "c++",
    ".cs": "csharp",
    ".fsx": "fsharp",
    ".go": "go",
    ".groovy": "groovy",
    ".hs": "haskell",
    ".java": "java",
    ".jl": "julia",
    ".js": "javascript",
    ".lua": "lua",
    ".m": "matlab",
    ".ps1": "powershell",
    ".py": "python",
    ".r": "R",
    ".rs": "rust",
    ".scala": "scala",
    ".sh": "bash",
    ".tcl": "tcl",
    ".ts": "typescript",
    ".xsh": "xonsh",
}

SUFFIXES = (*MARKDOWN, *SCRIPTS)


def is_text(path: Path) -> bool:
    """Return True if the name of `path` says that it is a text runbook."""
    return path.suffix.lower() in SUFFIXES
