"""Run a notebook with nbclient's API: `python -m benchmarks.peers.client_api NOTEBOOK`.

The last line on stdout counts the outputs, as in `raw_loop`.
"""

import json
import sys
from typing import Any

import nbformat
from nbclient import NotebookClient


def main(path: str) -> None:
    """Run the notebook at `path` and print the number of its outputs."""
    notebook: Any = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(notebook, timeout=None, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    texts = [output["text"] for output in outputs if output["output_type"] == "stream"]
    counts = {"characters": sum(map(len, texts)), "displays": len(outputs) - len(texts)}
    print(json.dumps(counts))


if __name__ == "__main__":
    main(sys.argv[1])
