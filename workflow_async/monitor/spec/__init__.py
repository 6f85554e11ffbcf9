"""A watch as a value that one process saves and another continues."""
