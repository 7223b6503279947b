"""Detections: helpers, filters, stored form, COCO."""
