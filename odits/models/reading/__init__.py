"""Word spotting: lines of text found, read and scored against a vocabulary."""
