"""The server on loopback: the site, and runs of its runbooks as they happen. Needs the extra `serve`."""
