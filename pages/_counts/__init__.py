"""The parts of the page "Object counts"."""
