"""The commands, a module each with an `app`."""
