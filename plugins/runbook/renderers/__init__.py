"""Show a Run: one contract, one file a format; nothing here runs anything."""
