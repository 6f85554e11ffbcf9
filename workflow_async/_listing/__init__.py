"""Reads lists that come in pages: requests them ahead, and loses no row that stays in the list."""
