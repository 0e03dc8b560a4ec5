"""How large a memory must be for given facts: laws and measured constants, turned into a plan."""

from factweights.planning.plan import MEMORIES, MemoryPlan, Plan, plan

__all__ = ["MEMORIES", "MemoryPlan", "Plan", "plan"]
