"""One module per resource: parse, call a facade, answer. Paths are in `entrepot.api.contract`."""
