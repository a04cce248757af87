"""Tagging: a label for each step, and one for the whole sequence where there is one."""
