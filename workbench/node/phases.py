"""Where inside RUNNING and STOPPING a node is."""

from __future__ import annotations

from enum import StrEnum


class NodePhase(StrEnum):
    """Where inside RUNNING and STOPPING a node is."""

    IDLE = "idle"
    CONNECTING = "connecting"
    FLUSHING = "flushing"
    RECONCILING = "reconciling"
    STARTING = "starting strategies"
    RUNNING = "running"
    STOPPING = "stopping strategies"
    RESIDUAL = "handling residual events"
    DISCONNECTING = "disconnecting"
