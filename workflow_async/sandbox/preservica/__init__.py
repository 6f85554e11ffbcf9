"""The Preservica of the sandbox."""
