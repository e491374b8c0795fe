"""Batched look-ahead with a prior and values: Gumbel AlphaZero and PUCT on the world's own kernel."""

from agents.search.batched import SearchResult, search
from agents.search.evaluators import Evaluator, NetworkEvaluator, TableEvaluator
from agents.search.new_nodes import NewNodes
from agents.search.payments import LearnedRewards
from agents.search.tabular import SearchTable, search_table
from agents.search.tree import Tree
from agents.search_config import SearchConfig

__all__ = [
    "Evaluator",
    "LearnedRewards",
    "NetworkEvaluator",
    "NewNodes",
    "SearchConfig",
    "SearchResult",
    "SearchTable",
    "TableEvaluator",
    "Tree",
    "search",
    "search_table",
]
