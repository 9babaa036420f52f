"""Files that look like pictures and mean harm, made on the spot, the same for the same seed."""
