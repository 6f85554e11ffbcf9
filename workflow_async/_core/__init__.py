"""Sends one call and reads its answer: authentication, retries, deadlines and status codes."""
