"""ImageNet's classes in some twenty groups: a name for what is surely a vehicle where no class of vehicle is sure."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from odits.models.classification.eye import class_names

ANIMALS = 398
"""ImageNet's first classes are all animals; every other class is in one of GROUPS."""
ANIMAL = "an animal"

GROUPS = {
    "a vehicle": (
        "ambulance, amphibian, barrow, beach wagon, bicycle-built-for-two, bobsled, bullet train, cab, "
        "convertible, dogsled, electric locomotive, fire engine, forklift, freight car, garbage truck, "
        "go-kart, golfcart, half track, harvester, horse cart, jeep, jinrikisha, limousine, minibus, minivan, "
        "Model T, moped, motor scooter, mountain bike, moving van, oxcart, passenger car, pickup, police van, "
        "racer, recreational vehicle, school bus, shopping cart, snowmobile, snowplow, sports car, steam "
        "locomotive, streetcar, tank, thresher, tow truck, tractor, trailer truck, tricycle, trolleybus, "
        "unicycle"
    ),
    "part of a vehicle": ("car mirror, car wheel, disk brake, grille, odometer, oil filter, seat belt"),
    "a boat": (
        "aircraft carrier, canoe, catamaran, container ship, fireboat, gondola, lifeboat, liner, paddlewheel, "
        "pirate, schooner, speedboat, submarine, trimaran, wreck, yawl"
    ),
    "an aircraft": ("airliner, airship, balloon, missile, parachute, projectile, space shuttle, warplane, wing"),
    "a building": (
        "altar, apiary, bakery, barbershop, barn, bell cote, boathouse, bookshop, butcher shop, carousel, "
        "castle, church, cinema, cliff dwelling, confectionery, dome, fire screen, greenhouse, grocery store, "
        "home theater, library, lumbermill, mobile home, monastery, mosque, mountain tent, palace, patio, "
        "planetarium, prison, restaurant, shoe shop, shoji, sliding door, stage, stupa, thatch, theater "
        "curtain, tile roof, tobacco shop, toyshop, triumphal arch, vault, window screen, window shade, yurt"
    ),
    "a structure": (
        "beacon, breakwater, crane, dam, dock, drilling platform, megalith, obelisk, pier, radio telescope, "
        "solar dish, steel arch bridge, suspension bridge, viaduct, water tower"
    ),
    "a fence or wall": ("bannister, chainlink fence, picket fence, stone wall, turnstile, worm fence"),
    "a sign": ("book jacket, comic book, crossword puzzle, envelope, menu, packet, scoreboard, street sign, web site"),
    "street furniture": (
        "ashcan, birdhouse, cash machine, flagpole, fountain, gas pump, mailbox, manhole cover, maypole, park "
        "bench, parking meter, pay-phone, pedestal, pole, spotlight, sundial, totem pole, traffic light, "
        "vending machine"
    ),
    "furniture": (
        "barber chair, bassinet, bathtub, bookcase, chest, chiffonier, china cabinet, cradle, crib, desk, "
        "dining table, entertainment center, file, folding chair, four-poster, lampshade, medicine chest, "
        "pillow, pool table, quilt, rocking chair, studio couch, table lamp, throne, toilet seat, wardrobe, "
        "washbasin"
    ),
    "clothing": (
        "abaya, academic gown, apron, ballplayer, bathing cap, bearskin, bib, bikini, bolo tie, bonnet, bow "
        "tie, brassiere, breastplate, buckle, bulletproof vest, cardigan, chain mail, Christmas stocking, "
        "cloak, clog, cowboy boot, cowboy hat, crash helmet, cuirass, diaper, feather boa, football helmet, "
        "fur coat, gasmask, gown, groom, hoopskirt, jean, jersey, kimono, knee pad, lab coat, Loafer, "
        "maillot, maillot tank suit, mask, military uniform, miniskirt, mitten, mortarboard, neck brace, "
        "necklace, overskirt, pajama, pickelhaube, poncho, running shoe, sandal, sarong, scuba diver, shower "
        "cap, ski mask, sock, sombrero, stole, suit, sunglass, sunglasses, sweatshirt, swimming trunks, "
        "trench coat, velvet, vestment, wig, Windsor tie, wool"
    ),
    "a bag or container": (
        "backpack, barrel, beer bottle, beer glass, bucket, caldron, carton, coffee mug, coffeepot, crate, "
        "cup, goblet, hamper, mailbag, milk can, mixing bowl, pencil box, piggy bank, pill bottle, pitcher, "
        "plastic bag, pop bottle, pot, purse, rain barrel, safe, saltshaker, shopping basket, sleeping bag, "
        "soap dispenser, soup bowl, teapot, tray, tub, vase, wallet, water bottle, water jug, whiskey jug, "
        "wine bottle"
    ),
    "a screen or device": (
        "analog clock, cassette player, CD player, cellular telephone, computer keyboard, desktop computer, "
        "dial telephone, digital clock, digital watch, dishwasher, electric fan, espresso maker, hand-held "
        "computer, iPod, joystick, laptop, loudspeaker, microwave, modem, monitor, mouse, notebook, "
        "oscilloscope, photocopier, Polaroid camera, printer, projector, radiator, radio, reflex camera, "
        "refrigerator, remote control, screen, space heater, stove, switch, tape player, television, toaster, "
        "typewriter keyboard, wall clock, washer"
    ),
    "an umbrella or cloth": (
        "bath towel, bow, dishrag, doormat, handkerchief, mosquito net, paper towel, prayer rug, shower "
        "curtain, umbrella"
    ),
    "sports gear": (
        "balance beam, barbell, baseball, basketball, croquet ball, dumbbell, golf ball, horizontal bar, "
        "paddle, parallel bars, ping-pong ball, puck, punching bag, racket, rugby ball, ski, soccer ball, "
        "swing, tennis ball, volleyball"
    ),
    "a musical instrument": (
        "accordion, acoustic guitar, banjo, bassoon, cello, chime, cornet, drum, electric guitar, flute, "
        "French horn, gong, grand piano, harmonica, harp, maraca, marimba, oboe, ocarina, organ, panpipe, "
        "sax, steel drum, trombone, upright, violin"
    ),
    "food": (
        "acorn squash, artichoke, bagel, banana, bell pepper, broccoli, burrito, butternut squash, carbonara, "
        "cardoon, cauliflower, cheeseburger, chocolate sauce, consomme, cucumber, custard apple, dough, "
        "eggnog, espresso, fig, French loaf, Granny Smith, guacamole, head cabbage, hot pot, hotdog, ice "
        "cream, ice lolly, jackfruit, lemon, mashed potato, meat loaf, mushroom, orange, pineapple, pizza, "
        "pomegranate, potpie, pretzel, red wine, spaghetti squash, strawberry, trifle, zucchini"
    ),
    "a landscape": ("alp, cliff, coral reef, geyser, lakeside, promontory, sandbar, seashore, valley, volcano"),
    "a plant": (
        "acorn, agaric, bolete, buckeye, coral fungus, corn, daisy, ear, earthstar, gyromitra, hay, "
        "hen-of-the-woods, hip, maze, rapeseed, stinkhorn, yellow lady's slipper"
    ),
    "a tool or utensil": (
        "abacus, assault rifle, ballpoint, Band Aid, barometer, beaker, binder, binoculars, bottlecap, brass, "
        "broom, bubble, can opener, candle, cannon, carpenter's kit, cassette, chain, chain saw, cleaver, "
        "cocktail shaker, coil, combination lock, corkscrew, Crock Pot, crutch, drumstick, Dutch oven, face "
        "powder, fountain pen, frying pan, guillotine, hair slide, hair spray, hammer, hand blower, hard "
        "disc, hatchet, holster, honeycomb, hook, hourglass, iron, jack-o'-lantern, jigsaw puzzle, knot, "
        "ladle, lawn mower, lens cap, letter opener, lighter, lipstick, lotion, loupe, magnetic compass, "
        "matchstick, measuring cup, microphone, mortar, mousetrap, muzzle, nail, nipple, oxygen mask, "
        "padlock, paintbrush, pencil sharpener, perfume, Petri dish, pick, pinwheel, plane, plate, plate "
        "rack, plow, plunger, potter's wheel, power drill, quill, reel, revolver, rifle, rotisserie, rubber "
        "eraser, rule, safety pin, scabbard, scale, screw, screwdriver, sewing machine, shield, shovel, slide "
        "rule, slot, snorkel, space bar, spatula, spider web, spindle, stethoscope, stopwatch, strainer, "
        "stretcher, sunscreen, swab, syringe, teddy, thimble, toilet tissue, torch, tripod, vacuum, waffle "
        "iron, whistle, wok, wooden spoon"
    ),
}


@lru_cache(maxsize=1)
def group_names() -> tuple[str, ...]:
    """Return the names of the groups, ANIMAL first."""
    return (ANIMAL, *GROUPS)


@lru_cache(maxsize=1)
def group_of_class() -> np.ndarray:
    """Return int (1000,): the group of each class, as a place in `group_names`."""
    places = {name: place for place, names in enumerate(GROUPS.values(), 1) for name in names.split(", ")}
    return np.array([0 if one < ANIMALS else places[name] for one, name in enumerate(class_names())])


def group_shares(probabilities: np.ndarray) -> np.ndarray:
    """Sum the probabilities (m, 1000) of classes to those of groups, float32 (m, G).

    Example:
        >>> shares = np.zeros((1, 1000)); shares[0, [468, 654]] = 0.3, 0.2  # a cab or a minibus
        >>> group_names()[group_shares(shares).argmax()]
        'a vehicle'
    """
    member = group_of_class()[:, None] == np.arange(len(group_names()))
    shares: np.ndarray = (probabilities @ member).astype(np.float32)
    return shares
