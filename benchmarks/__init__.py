"""What Longspan costs and how good it is, beside its peers: `make bench`."""
