"""Asyncio-native client for the workflow engines of Opencast and Preservica."""

__version__ = "0.1.0"
