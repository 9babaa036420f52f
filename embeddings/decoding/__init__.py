"""Picture files → pixels, within bounds of time and memory whatever the files hold."""
