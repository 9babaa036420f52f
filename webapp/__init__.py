"""Search: the page, the HTTP API and the terminal command, over one SearchService."""
