"""Polls workflows for the watchers of one client. Private: users call the methods of `client.workflows`."""
