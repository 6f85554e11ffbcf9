"""Polls workflows for the watchers of one client: what to request, what was seen, and which events follow."""
