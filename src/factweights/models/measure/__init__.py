"""How many bits of a table any language model knows."""
