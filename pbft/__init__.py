"""Byzantine fault-tolerant state-machine replication over UDP (Castro & Liskov, OSDI'99)."""

__version__ = "0.1.0"
