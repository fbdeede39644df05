"""From an uploaded file to an answer, or to a refusal with its reason."""
