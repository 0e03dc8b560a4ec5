"""The two places for facts, by the layout that has them."""

from typing import cast

from factweights.export.attention_store import AttentionStore
from factweights.export.layout import AttentionLayout, Layout, MlpLayout
from factweights.export.mlp_store import MlpStore


def store_of(layout: Layout) -> MlpStore | AttentionStore:
    """The store of a layout."""
    if isinstance(layout, MlpLayout):
        return MlpStore(layout)
    return AttentionStore(cast(AttentionLayout, layout))
