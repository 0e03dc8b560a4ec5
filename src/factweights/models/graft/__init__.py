"""A table of facts written into a pretrained language model that is otherwise left as it was."""
