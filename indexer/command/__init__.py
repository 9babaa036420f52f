"""What the command ``index-folder`` is made of."""
