"""When to run: exact plans on a known intensity, and replays of job histories. Pure NumPy."""
