"""Run the notebooks in docs/tutorials and keep what they print and draw.

    python scripts/run_tutorials.py [names …]

Outputs are part of the site; a test runs the same cells without keeping them.
"""

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

TUTORIALS = Path(__file__).resolve().parent.parent / "docs" / "tutorials"


def run(path: Path) -> nbformat.NotebookNode:
    """The notebook with its outputs, less progress bars and warnings on stderr.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
    return notebook


def main(names: list[str]) -> None:
    """Run those named, or all."""
    for path in sorted(TUTORIALS.glob("*.ipynb")):
        if not names or path.stem in names:
            begun = time.perf_counter()
            nbformat.write(run(path), path)
            print(f"{path.stem}: {time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
