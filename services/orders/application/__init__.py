"""What orders does: one use case per file, named like the file. None of them commits."""
