"""A scripted GPU: a real libnvidia-ml.so.1 that plays a scenario whose true energy is known."""

from tests.scripted_nvml.build import LIBRARY, NoCompiler, build
from tests.scripted_nvml.scenario import Scenario, ScenarioClock
from tests.scripted_nvml.script import (
    AVERAGE_FIELD,
    BLANK_64,
    ENERGY_FIELD,
    EVERY_CALL,
    FIELD_VALUES,
    INSTANT_FIELD,
    POWER_USAGE,
    PROCESS_UTILIZATION,
    RUNNING_PROCESSES,
    TOTAL_ENERGY,
    Gpu,
    Nvml,
    Power,
    Process,
    Rule,
    Script,
    write_pids,
)

__all__ = [
    "AVERAGE_FIELD",
    "BLANK_64",
    "ENERGY_FIELD",
    "EVERY_CALL",
    "FIELD_VALUES",
    "INSTANT_FIELD",
    "LIBRARY",
    "POWER_USAGE",
    "PROCESS_UTILIZATION",
    "RUNNING_PROCESSES",
    "TOTAL_ENERGY",
    "Gpu",
    "NoCompiler",
    "Nvml",
    "Power",
    "Process",
    "Rule",
    "Scenario",
    "ScenarioClock",
    "Script",
    "build",
    "write_pids",
]
