"""Scores: a window's question answered from the ledger, with counts, factors and intervals."""
