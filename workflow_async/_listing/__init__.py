"""Lists that come in pages: how they are asked for, and how nothing of them is lost."""
