"""Holds what the floors above share in Redis: messages, batches, limits, the gate; and all Lua."""
