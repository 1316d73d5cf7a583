"""Controlled comparisons: what an optimisation did to energy, carbon and quality."""
