"""CLIP checkpoints: open_clip's architectures and the embedded one."""
