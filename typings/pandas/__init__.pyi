from typing import Any

def __getattr__(name: str) -> Any: ...  # data frames are made for callers; nothing here looks into one
