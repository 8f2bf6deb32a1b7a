"""Run a notebook by nbclient's API: `python -m benchmarks.peers.client_api NOTEBOOK`.

The last line on stdout says what outputs it had, as `raw_loop` does.
"""

import json
import sys
from typing import Any

import nbformat
from nbclient import NotebookClient


def main(path: str) -> None:
    """Print what was executed."""
    notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(notebook, timeout=None, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    texts = [output["text"] for output in outputs if output["output_type"] == "stream"]
    told = {"text": sum(map(len, texts)), "bundles": len(outputs) - len(texts)}
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
