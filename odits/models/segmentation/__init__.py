"""Segmenters, SAM and the embedded one; objects computed ahead and named."""
