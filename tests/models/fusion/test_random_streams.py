"""The generators against outputs of their authors' programs, and against plain sequential programs written here.

Sources of the reference outputs:
- MT19937: Matsumoto and Nishimura's mt19937ar.out; the C++ standard, [rand.predef] (10000th output of std::mt19937).
- MRG32k3a: L'Ecuyer's RngStreams, tests/test2RngStream.res (state all 12345, 36th number); the numbers at 1000, 100000
  and 1000000 from the tests of pyhctsa, which quote L'Ecuyer's RngStream.c; the sum of ten million from L'Ecuyer 1999,
  Table III, as quoted by the tests of Mrg32k3a.NET.
- MLFG_6331_64: SPRNG 2.0a, the authors' library (Debian's libsprng2 2.0a-13), run with seed 985456376 and parameter 3
  (lags 63 and 31): the state that `pack_sprng` shows after seeding, and what `isprng` and `sprng` then return.
- WELL512a: Well512aTest of Apache Commons RNG, whose values come from the authors' C program.
"""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest

from odits.core.errors import OditsError
from odits.models.fusion import random_streams as well512a
from odits.models.fusion.random_streams import GENERATORS, MLFG6331, MT19937, MRG32k3a, WELL512a, random_stream

SPRNG_STATE = [
    0x33B9A287EBC71F19, 0x3B61C0ACAA2CE389, 0xFED82DB53766C981, 0x0F6F14B336A4CE19, 0x01261A408F6F2509,
    0x50C1B16CB803B131, 0xD71C0546547C1C31, 0xB07847E3A458CD11, 0xC9E51873326B7D79, 0x8F89DA4801475B19,
    0x2EDB62D35A26C071, 0xC851065801400999, 0xACC8E0ED24F97F51, 0xC9BA3514ACFCB55D, 0x92A127676C4C5A59,
    0xB2944A2A618DF737, 0xD51008F526541ACF, 0x19D08D0C1CA92089, 0x587898BEA0633867, 0x3E88EF074A527CC1,
    0xEF12D3FDDEF8A731, 0x67674EE439A05011, 0x91F4B0E7A670512F, 0xA420BD494E472D67, 0x0F532C456AC598F7,
    0x4977B687CCC9FA39, 0x7B6239F999CD3491, 0xF4CA92E06012CB59, 0x1673538AE6F8FBD9, 0x773C11C61EBCFEC1,
    0xCCAB2CECC8CB5539, 0xFA58FB5849537511, 0x7BCF102B28651891, 0xF920A8D0280481D1, 0xC3665A2C065EFDD1,
    0xCEDB1364D536F219, 0xD5DC0461C73F96E9, 0x960B809C072498B1, 0x89769C949B0AAC41, 0xC1C0C56CA9CCCE29,
    0x59FC736A102750C1, 0x431AACB7FDC544D1, 0x749D6733A9A22B91, 0x27ABF5C461DB58D1, 0x94FF704405408ACD,
    0xCBB7BD6A63F48E4D, 0xFF0D3552938D941B, 0x157D0F049601F9C1, 0x2F7D491389EF5805, 0xEB78D5B35110C539,
    0x433D566D958B86C1, 0xFEAF31DA8BC2DB01, 0xFA1B135EB4D3DFC9, 0x2FDD0A95410D9E11, 0x14D09A2E52A704E1,
    0xF9BFB8B94DB16E4F, 0x19627A4598F9F7E1, 0xABFE0F8A1CEFD5F1, 0xCCE92A99EC92CAFF, 0xB53CE129CC98C487,
    0x96B45438600FF4C9, 0x0557CF9574576FC9, 0x8C01ED9DB47E6E99,
]  # fmt: skip
WELL_STATE = [
    0x2C2878C6, 0x47AF36C4, 0xF422E677, 0xF08FD8D3, 0xEE9A47C7, 0xBA983942, 0xA2A9F9A5, 0x1D443748,
    0x8FC260B2, 0x5275C681, 0x4A2F5A28, 0x2911683D, 0xA204C27E, 0xB20A6A26, 0x54BA33BE, 0x67D63EB0,
]  # fmt: skip
WELL_OUTPUTS = [
    0x61714569, 0x6FDD4898, 0xC5F47050, 0x810A6B1C, 0xC1AF8B8C, 0x92A98227, 0x64CB1D8D, 0x24578071,
    0x793B296A, 0x212298DB, 0x0065F1A0, 0x74B6A737, 0x6F40110D, 0xA84D2DFB, 0x7A23FC8A, 0xF4895B35,
    0x85732A6E, 0x30550AD9, 0x53BF4E25, 0xD16E0C02, 0x3C5DD4E7, 0xC1B55438, 0x2B6A28A4, 0x57D400EC,
]  # fmt: skip


def sequential_mrg32k3a(state: list[int]) -> Iterator[int]:
    x, y = list(state[:3]), list(state[3:])
    while True:
        x = [*x[1:], (1403580 * x[1] - 810728 * x[0]) % 4294967087]
        y = [*y[1:], (527612 * y[2] - 1370589 * y[0]) % 4294944443]
        yield (x[2] - y[2]) % 4294967087 or 4294967087


def sequential_mlfg(state: list[int]) -> Iterator[int]:
    words = list(state)
    while True:
        words.append(words.pop(0) * words[-31] % 2**64)  # after the pop the last 31st is still x_{n-31}
        yield words[-1]


def sequential_well512a(state: list[int]) -> Iterator[int]:
    """The ring of the authors' program."""
    ring, i, mask = list(state), 0, 2**32 - 1
    while True:
        z0, v0, m1, m2 = ring[(i + 15) % 16], ring[i], ring[(i + 13) % 16], ring[(i + 9) % 16]
        z1 = (v0 ^ v0 << 16 ^ m1 ^ m1 << 15) & mask
        z2 = m2 ^ m2 >> 11
        ring[i] = z1 ^ z2
        z4 = ring[i] ^ (ring[i] << 5 & 0xDA442D24)
        i = (i + 15) % 16
        ring[i] = (z0 ^ z0 << 2 ^ z1 ^ z1 << 18 ^ z2 << 28 ^ z4) & mask
        yield ring[i]


def legacy(seed: int | list[int]) -> np.random.MT19937:
    """NumPy's MT19937 seeded as the authors' init_genrand (a number) or init_by_array (a list)."""
    bits = np.random.MT19937()
    bits._legacy_seeding(seed)
    return bits


def test_mt19937_is_the_authors() -> None:
    first = [1067595299, 955945823, 477289528, 4107218783, 4228976476, 3344332714]
    assert legacy([0x123, 0x234, 0x345, 0x456]).random_raw(6).tolist() == first
    pairs = np.reshape(first, (-1, 2))
    expected = ((pairs[:, 0] >> 5) * 2**26 + (pairs[:, 1] >> 6)) / 2**53  # genrand_res53
    assert MT19937(legacy([0x123, 0x234, 0x345, 0x456])).uniform(3).tolist() == expected.tolist()
    assert int(MT19937(legacy(5489)).uniform(5000)[-1] * 2**53) % 2**26 == 4123659995 >> 6


def test_mrg32k3a_is_lecuyers() -> None:
    numbers = MRG32k3a().uniform(1_000_000)
    assert numbers[:5].tolist() == [
        0.12701112204657714, 0.3185275653967945, 0.3091860155832701, 0.8258468629271136, 0.2216299157820229,
    ]  # fmt: skip
    assert numbers[35] == pytest.approx(0.07941673614985, abs=5e-15)
    assert numbers[[999, 99999, 999999]].tolist() == [0.98607848680213228, 0.69628910995743587, 0.37578835621568801]


def test_mrg32k3a_sums_to_the_published_total() -> None:
    assert MRG32k3a().uniform(10_000_000).sum() == pytest.approx(5001090.95, abs=0.005)


def test_mlfg_is_sprngs() -> None:
    numbers = MLFG6331(np.array(SPRNG_STATE, np.uint64)).uniform(10_000)
    assert (numbers[:8] * 2**31).astype(int).tolist() == [
        574217306, 319611172, 2016678570, 2136946965, 896519085, 147117779, 1980340462, 1937993730,
    ]  # fmt: skip
    assert numbers[[0, 1, 2, 999, 9999]].tolist() == [
        0.26739077022972401743, 0.14883054991100319597, 0.93908913941725180585,
        0.15640725844170333403, 0.20164075139611958853,
    ]  # fmt: skip


def test_well512a_is_the_authors() -> None:
    assert (WELL512a(np.array(WELL_STATE)).uniform(24) * 2**32).astype(int).tolist() == WELL_OUTPUTS
    assert list(islice(sequential_well512a(WELL_STATE), 24)) == WELL_OUTPUTS


def test_well512a_has_its_full_period() -> None:
    """The step's polynomial is primitive: the order of x is 2^512 - 1, the product of the Fermat numbers 0 to 8."""
    primes = [
        3, 5, 17, 257, 65537, 641, 6700417, 274177, 67280421310721, 59649589127497217, 5704689200685129054721,
        1238926361552897, 93461639715357977769163558199606896584051237541638188580280321,
    ]  # fmt: skip
    order = 2**512 - 1
    assert np.prod(np.array(primes, object)) == order
    assert well512a._power_of_x(order) == 1
    assert all(well512a._power_of_x(order // prime) != 1 for prime in primes)


@pytest.mark.parametrize("count", [1, 31, 700, 3000, 70_001])
def test_lanes_give_the_sequential_sequence(count: int) -> None:
    mrg = [12345, 678, 9, 4294944442, 0, 1]
    expected = np.array(list(islice(sequential_mrg32k3a(mrg), count))) * 2.328306549295727688e-10
    assert np.array_equal(MRG32k3a(mrg).uniform(count), expected)
    words = np.array(list(islice(sequential_mlfg(SPRNG_STATE), count)), np.uint64)
    assert np.array_equal(
        MLFG6331(np.array(SPRNG_STATE, np.uint64)).uniform(count), (words >> np.uint64(12)) * 2.0**-52
    )
    expected = np.array(list(islice(sequential_well512a(WELL_STATE), count))) * 2.0**-32
    assert np.array_equal(WELL512a(np.array(WELL_STATE)).uniform(count), expected)


@pytest.mark.parametrize("name", GENERATORS)
def test_cuts_do_not_matter(name: str) -> None:
    sizes = [1, 0, 70, 5000, 3, 40_000, 2, 9000]
    stream = random_stream(name, 7)
    pieces = np.concatenate([stream.uniform(size) for size in sizes])
    assert np.array_equal(pieces, random_stream(name, 7).uniform(sum(sizes)))


@pytest.mark.parametrize("name", GENERATORS)
def test_numbers_are_uniform_and_follow_the_seed(name: str) -> None:
    numbers = random_stream(name, 0).uniform(200_000)
    assert numbers.dtype == np.float64
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts = np.histogram(numbers, 100, (0, 1))[0]
    assert ((counts - 2000) ** 2 / 2000).sum() < 160  # chi-squared, 99 degrees: p = 1e-4
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 0.01
    assert not np.array_equal(numbers, random_stream(name, 1).uniform(200_000))


def test_mlfg_seeds_are_odd_and_of_full_order() -> None:
    for seed in range(50):
        state = MLFG6331.seeded(seed)._state
        assert (state % 2 == 1).all()
        assert np.isin(state % 8, (3, 5)).any()


def test_mistakes_are_named() -> None:
    with pytest.raises(OditsError, match="mt19937, mrg32k3a"):
        random_stream("pcg", 0)
    with pytest.raises(OditsError, match="whole number"):
        random_stream("mt19937", -1)
