"""What a photograph shows, by a network that was trained on photographs: class names and embeddings."""
