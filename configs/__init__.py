"""Settings, and what both commands share on the command line."""
