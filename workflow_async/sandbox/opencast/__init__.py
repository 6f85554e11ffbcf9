"""The Opencast of the sandbox."""
