"""Bytes that our own readers get from others: what each must make of any."""
