"""Everything that predicts, and the registry that opens it by reference."""
