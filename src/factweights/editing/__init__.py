"""Facts that change: add, replace and remove some of them in a stored memory, and keep the others."""

from factweights.editing.associations import edit_facts
from factweights.editing.memory import Edited, edit, edit_folder
from factweights.editing.named import edit_named
from factweights.editing.table import TableEdit, edit_table, read_changes

__all__ = [
    "Edited",
    "TableEdit",
    "edit",
    "edit_facts",
    "edit_folder",
    "edit_named",
    "edit_table",
    "read_changes",
]
