"""What the grid said and will say: intensity, feeds and forecasts, and where a host stands."""
