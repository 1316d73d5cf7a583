"""Ten small, real experiments, one for each technique, on data and models that they make."""

import os

# Before NumPy is loaded: its own threads would be a second treatment.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
