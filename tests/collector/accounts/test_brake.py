from __future__ import annotations

from collector.accounts.brake import MOST_KEYS, Brake, Brakes, place_of


class Clock:
    """A clock that goes when it is told. [s]"""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_waits_double_and_end_with_a_right_try() -> None:
    """Waits grow by two from the fifth wrong try on, up to the longest, and end with a right one."""
    brake = Brake(Clock(), free=5, longest_s=20.0, forget_s=60.0)
    waits = []
    for _ in range(9):
        brake.failed("client")
        waits.append(brake.wait_s("client"))
    brake.succeeded("client")

    assert ([0.0] * 4 + [2.0, 4.0, 8.0, 16.0, 20.0], 0.0) == (waits, brake.wait_s("client"))


def test_what_is_long_ago_is_forgotten() -> None:
    """A typing error a day never comes to a wait."""
    clock = Clock()
    brake = Brake(clock, free=5, longest_s=300.0, forget_s=3600.0)
    for _ in range(20):
        brake.failed("client")
        clock.now += 86_400.0

    assert 0.0 == brake.wait_s("client")


def test_memory_is_bounded() -> None:
    """However many clients guess, no more than so many are remembered; the one heard last is among them."""
    brake = Brake(Clock(), free=1, longest_s=300.0, forget_s=3600.0)
    for number in range(MOST_KEYS + 500):
        brake.failed(str(number))

    assert MOST_KEYS == len(brake._tries)
    assert (0.0, 2.0) == (brake.wait_s("0"), brake.wait_s(str(MOST_KEYS + 499)))


def test_a_stranger_locks_nobody_out() -> None:
    """Guesses from ever new addresses hold up new places for a minute at most, and a known place not at all."""
    clock = Clock()
    brakes = Brakes(clock)
    brakes.succeeded("li", "10.0.0.7")
    for number in range(2000):
        brakes.failed("li", f"10.{1 + number // 250}.0.{number % 250}")

    assert (0.0, 60.0) == (brakes.wait_s("li", "10.0.0.7"), brakes.wait_s("li", "10.0.0.8"))
    clock.now += 60.0
    assert 0.0 == brakes.wait_s("li", "10.0.0.8")


def test_an_address_slows_down_whatever_name_it_tries() -> None:
    """Five wrong tries at five accounts hold the address up, not the accounts."""
    brakes = Brakes(Clock())
    for name in ("a", "b", "c", "d", "e"):
        brakes.failed(name, "10.0.0.9")

    assert (2.0, 0.0) == (brakes.wait_s("f", "10.0.0.9"), brakes.wait_s("a", "10.0.0.8"))


def test_a_network_of_ipv6_is_one_client() -> None:
    """All addresses of a /64 count together, an IPv4 address in IPv6 dress as itself, a name as a name."""
    assert place_of("2001:db8::1") == place_of("2001:db8::ffff:1")
    assert place_of("2001:db8:0:1::1") != place_of("2001:db8::1")
    assert ("10.0.0.7", "unknown") == (place_of("::ffff:10.0.0.7"), place_of("unknown"))
