"""Keys, sessions and what they may do; below api and web."""
