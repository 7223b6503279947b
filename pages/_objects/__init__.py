"""Parts of the page "Objects"."""
