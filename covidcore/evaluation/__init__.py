"""From a table of predictions to figures, with how sure they are."""
