"""Draws the journal of a batch as one HTML file without scripts and without requests."""
