"""What all floors above share in Redis: messages, batches, limits, the gate; and all Lua."""
