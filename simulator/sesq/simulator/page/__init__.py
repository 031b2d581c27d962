"""The page for people: `view` reads a message, `routes` serves the page, `guard` refuses other web pages."""
