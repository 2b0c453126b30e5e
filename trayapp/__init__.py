"""Amberlight: a tray application that keeps OAuth workloads signed in."""

__version__ = "0.1.0"
