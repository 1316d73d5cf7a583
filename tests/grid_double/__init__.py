"""A local stand-in for the public grid feeds, in their recorded shapes and their failures."""

from grid_double.server import Failure, GridDouble, curve

__all__ = ["Failure", "GridDouble", "curve"]
