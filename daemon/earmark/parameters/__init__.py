"""What a client asks for beside its clip."""
