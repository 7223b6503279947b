"""Images, their words, and the folders they come from."""

from odits.data.datasets import find_data_folder, read_dataset
from odits.data.folder import read_folder
from odits.data.images import ImageError, image_digest, image_size, open_image
from odits.data.records import BoxedWord, Dataset, ImageRecord
from odits.data.svt import read_svt
from odits.data.vocabulary import Vocabulary

__all__ = [
    "BoxedWord",
    "Dataset",
    "ImageError",
    "ImageRecord",
    "Vocabulary",
    "find_data_folder",
    "image_digest",
    "image_size",
    "open_image",
    "read_dataset",
    "read_folder",
    "read_svt",
]
