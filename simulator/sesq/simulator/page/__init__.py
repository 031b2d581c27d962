"""The page for people: `view` reads a message for it, `routes` serves it, `guard` keeps other web pages out."""
