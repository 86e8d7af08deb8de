"""The edge: a proxy of HTTP/1.1 that splits a target's requests by weight, and counts them."""
