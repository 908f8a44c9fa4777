"""The only room that starts commands: one contract, one file a kind."""
