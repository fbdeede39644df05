"""What goes in: files found, decoded, indexed, split and cached."""
