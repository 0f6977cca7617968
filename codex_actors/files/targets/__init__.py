"""Where uploads go. Start reading at `protocol`; each target is one module beside it."""
