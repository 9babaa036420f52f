"""The subcommands of ``image-search``: each a function of the settings and its options, whose value
is the process's exit code."""
