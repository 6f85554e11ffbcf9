"""Divides watches among processes: each shard belongs to one worker at a time, by a lease that fences."""
