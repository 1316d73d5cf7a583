"""The installed `carbon up`, started as a user starts it, with GPUs whose true energy is known."""

from acceptance.deployment import BURN, Deployment, free_port, last_json
from acceptance.truth import GPU_KG, TwoGpus, embodied_g, operational_g

__all__ = [
    "BURN",
    "GPU_KG",
    "Deployment",
    "TwoGpus",
    "embodied_g",
    "free_port",
    "last_json",
    "operational_g",
]
