"""One module for each generated page of docs/reference, each with a function ``page`` that returns its whole text."""
