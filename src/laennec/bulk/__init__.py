"""Recordings by the million: listed once, scored in shards, one row each, whatever is killed meanwhile.

The protocol belongs to no engine: a manifest lists the recordings in shards, a shard becomes one part file,
and a merge proves that every recording has its row. Whoever computes a part may be killed, and may do it
twice: its name and its content depend on manifest and model alone.
"""
