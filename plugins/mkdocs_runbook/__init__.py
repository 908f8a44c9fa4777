"""The site adapter: notes that show their runbooks. Only `plugin` and `build` know MkDocs; the fence does not."""
