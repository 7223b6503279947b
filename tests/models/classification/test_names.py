"""Names of objects: classes, groups of classes and surfaces."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from odits.models.classification.eye import CLASSES, class_names
from odits.models.classification.groups import ANIMALS, GROUPS, group_names, group_of_class, group_shares
from odits.models.classification.names import (
    CLASS,
    CLASS_LIMIT,
    GROUP,
    GROUP_LIMIT,
    GROUP_LIMITS,
    PLACE,
    PLAIN,
    PhotoName,
    name_objects,
)
from odits.models.classification.surfaces import measure, plain_name, surface_name

SIZE = 320, 240


class Certain:
    """A network whose answers are given: the probabilities of every view, by the colour in its middle."""

    def __init__(self, answers: dict[str, dict[str, float]]) -> None:
        self.answers, self.seen = answers, 0

    def probabilities(self, images: list[Image.Image]) -> np.ndarray:
        """Return what the colours of the pictures' middles stand for."""
        self.seen += len(images)
        found = np.full((len(images), CLASSES), 1e-6, np.float32)
        for row, image in zip(found, images, strict=True):
            red, green, blue = np.asarray(image.convert("RGB"))[image.height // 2, image.width // 2].astype(int)
            colour = "red" if red > max(green, blue) else "blue" if blue > green else "green"
            for name, share in self.answers.get(colour, {}).items():
                row[class_names().index(name)] = share
        return found


def checks(colours: tuple[str, str], box: tuple[int, int, int, int]) -> tuple[Image.Image, np.ndarray]:
    """Draw a chequered square, too rough for a surface, with a patch of the first colour in the middle."""
    image = Image.new("RGB", SIZE, "gray")
    draw, (x0, y0, x1, y1) = ImageDraw.Draw(image), box
    for x in range(x0, x1, 8):
        for y in range(y0, y1, 8):
            draw.rectangle((x, y, x + 7, y + 7), colours[(x + y) // 8 % 2])
    middle_x, middle_y = (x0 + x1) // 2, (y0 + y1) // 2
    draw.rectangle((middle_x - 6, middle_y - 6, middle_x + 6, middle_y + 6), colours[0])
    mask = np.zeros(SIZE[::-1], bool)
    mask[y0:y1, x0:x1] = True
    return image, mask[None]


def named(answers: dict[str, float], coarse: bool = True, limit: float = CLASS_LIMIT) -> PhotoName:
    """Name a red chequered square that looks like these classes."""
    image, masks = checks(("red", "black"), (80, 60, 240, 180))
    network = Certain({"red": answers})
    (found,) = name_objects(network, image, masks, limit, coarse)  # type: ignore[arg-type]
    assert network.seen == 3
    return found


def test_every_class_is_in_one_group() -> None:
    listed = [name for names in GROUPS.values() for name in names.split(", ")]
    assert sorted(listed) == sorted(class_names()[ANIMALS:])
    assert group_of_class().shape == (CLASSES,) and set(group_of_class()) == set(range(len(group_names())))
    assert set(GROUP_LIMITS) <= set(group_names())
    shares = np.random.default_rng(0).dirichlet(np.ones(CLASSES), 3)
    assert np.allclose(group_shares(shares).sum(1), 1, atol=1e-5)


def test_a_sure_class_is_named_else_its_group_else_nothing() -> None:
    name, score, level = named({"cab": 0.5, "minibus": 0.1})
    assert (name, level) == ("cab", CLASS) and score == pytest.approx(0.5)
    name, score, level = named({"cab": 0.2, "minibus": 0.15})
    assert (name, level) == ("a vehicle", GROUP) and score == pytest.approx(0.35, abs=1e-3)
    assert named({"cab": 0.1, "minibus": 0.1}) == PhotoName()
    assert named({"cab": 0.2, "minibus": 0.15}, coarse=False) == PhotoName()
    assert named({"cab": 0.5}, coarse=False, limit=0.6) == PhotoName()


def test_a_group_that_textures_look_like_takes_no_part_below_its_limit() -> None:
    furs = {name: 0.05 for name in class_names()[:10]}
    assert named(furs | {"cab": 0.15, "minibus": 0.12}).name == "a vehicle"
    assert named(furs) == PhotoName()
    assert named({name: 0.07 for name in class_names()[:10]}).name == "an animal"


def test_what_is_only_around_gives_no_name() -> None:
    image, masks = checks(("red", "black"), (80, 60, 240, 180))
    masks[0, 100:140, 140:180] = False  # a frame: its box shows something that it is not, and the middle is grey
    around = Certain({"red": {"cab": 0.9}})
    assert name_objects(around, image, masks)[0].level not in (CLASS, GROUP)  # type: ignore[arg-type]
    assert GROUP_LIMIT < 0.9


def scene() -> tuple[Image.Image, np.ndarray]:
    """Draw sky, leaves and road, one above the other, and a plain red door."""
    noise = np.random.default_rng(1)
    pixels = np.zeros((*SIZE[::-1], 3), np.float32)
    pixels[:80] = 130, 180, 235
    leaves = noise.uniform(0.2, 1.3, (80, SIZE[0], 1)).astype(np.float32)
    pixels[80:160] = np.array([70, 120, 40], np.float32) * leaves
    pixels[160:] = 95, 95, 98
    pixels[90:150, 100:130] = 170, 30, 30
    pixels += noise.normal(0, 1, pixels.shape).astype(np.float32)
    masks = np.zeros((4, *SIZE[::-1]), bool)
    masks[0, :80] = masks[1, 80:160] = masks[2, 160:] = masks[3, 90:150, 100:130] = True
    masks[1] &= ~masks[3]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), masks


def test_surfaces_are_told_by_colour_roughness_and_place() -> None:
    image, masks = scene()
    found = measure(image, masks)
    assert [surface_name(one) for one in found] == ["sky", "greenery", "road or ground", ""]
    assert plain_name(found[3]) == "plain red surface" and plain_name(found[1]) == ""
    assert surface_name(measure(image.rotate(180), masks[:, ::-1, ::-1])[0]) == ""  # no sky below


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        ("black", "dark"),
        ("gray", "grey"),
        ("white", "white"),
        ("blue", "blue"),
        ("yellow", "yellow"),
        ("green", "green"),
    ],
)
def test_plain_surfaces_are_called_by_their_colour(colour: str, name: str) -> None:
    whole = np.ones((1, *SIZE[::-1]), bool)
    assert plain_name(measure(Image.new("RGB", SIZE, colour), whole)[0]) == f"plain {name} surface"


def test_surfaces_of_a_place_cost_no_network_and_things_go_before_plain_ones() -> None:
    image, masks = scene()
    network, steps = Certain({"red": {"sliding door": 0.8}}), list[tuple[int, int]]()
    found = name_objects(network, image, masks, progress=lambda *step: steps.append(step))  # type: ignore[arg-type]
    assert [one.level for one in found] == [PLACE, PLACE, PLACE, CLASS] and found[3].name == "sliding door"
    assert network.seen == 3 and steps == [(3, 4), (4, 4)]
    unknown = name_objects(Certain({}), image, masks)  # type: ignore[arg-type]
    assert unknown[3] == PhotoName("plain red surface", 0.0, PLAIN)


@pytest.mark.parametrize("size", [(1, 1), (3000, 2), (2, 900)])
def test_an_object_of_a_few_pixels_is_measured(size: tuple[int, int]) -> None:
    masks = np.zeros((2, size[1], size[0]), bool)
    masks[0] = masks[1, 0, 0] = True
    found = name_objects(Certain({}), Image.new("RGB", size, "white"), masks)  # type: ignore[arg-type]
    assert len(found) == 2 and name_objects(Certain({}), Image.new("RGB", size), masks[:0]) == []  # type: ignore[arg-type]
