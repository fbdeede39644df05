"""What is claimed about results and speed, each by one command."""
