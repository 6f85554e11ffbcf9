"""Records as values that JSON can represent, and their schema for pydantic."""
