"""Training jobs: runs on disk, the process that works on one, and where such a process runs."""
