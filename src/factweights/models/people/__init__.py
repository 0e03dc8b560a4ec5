"""Invented people, and stock models that learn them: how many bits fit into trained weights."""
