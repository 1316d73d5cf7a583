"""The installed `carbon up`, started as a user starts it, with GPUs whose true energy is known."""

from acceptance.deployment import Deployment, burn, free_port, last_json
from acceptance.truth import GPU_KG, TwoGpus, embodied_g, operational_g, wait_out_a_mark

__all__ = [
    "GPU_KG",
    "Deployment",
    "TwoGpus",
    "burn",
    "embodied_g",
    "free_port",
    "last_json",
    "operational_g",
    "wait_out_a_mark",
]
