"""Sends one call and reads its response: authentication, retries, timeouts and status codes."""
