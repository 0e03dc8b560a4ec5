"""What is stored: associations between keys and values, tables of named facts, the factual recall task."""

from factweights.facts.associations import Associations
from factweights.facts.minilm import minilm_embeddings
from factweights.facts.recall_task import Prompts, RecallTask
from factweights.facts.table import FactTable

__all__ = ["Associations", "FactTable", "Prompts", "RecallTask", "minilm_embeddings"]
