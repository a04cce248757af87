"""Accuracy on public data, beside published results and peers."""
