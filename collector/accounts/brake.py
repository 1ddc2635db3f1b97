"""A brake on guessing: per address and per account, in bounded memory, and never a lock for ever."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_KEYS = 10_000
FIRST_WAIT_S = 2.0


@dataclass(slots=True)
class Brake:
    """Lets a few wrong tries of a key pass, then makes each further one wait twice as long.

    Parameters
    ----------
    clock : Callable
        Monotonic. [s]
    free : int
        Wrong tries without a wait.
    longest_s : float
        No wait is longer. [s]
    forget_s : float
        After so long without a wrong try a key counts from nothing. [s]
    """

    clock: Callable[[], float]
    free: int
    longest_s: float
    forget_s: float
    _tries: dict[str, tuple[int, float]] = field(default_factory=dict)

    def wait_s(self, key: str) -> float:
        """How long this key must wait before its next try; 0 where it may try now. [s]"""
        return max(0.0, self._tries.get(key, (0, 0.0))[1] - self.clock())

    def failed(self, key: str) -> None:
        """Note a wrong try; where memory is full the key that was quiet longest is forgotten."""
        count, until = self._tries.pop(key, (0, self.clock()))
        count = 1 if self.clock() - until > self.forget_s else count + 1
        over = count - self.free
        wait_s = min(FIRST_WAIT_S * 2.0 ** min(over, 20), self.longest_s) if over >= 0 else 0.0
        while len(self._tries) >= MOST_KEYS:
            self._tries.pop(next(iter(self._tries)))
        self._tries[key] = (count, self.clock() + wait_s)

    def succeeded(self, key: str) -> None:
        """Forget the wrong tries."""
        self._tries.pop(key, None)


class Brakes:
    """One way in: a brake per address, and a gentler one per account that stops no address the account is used from.

    A stranger who guesses at one account from many addresses holds up whoever signs in from a new place, for a minute
    at a time; an address from which the account was signed in since the start is not held up.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._addresses = Brake(clock, free=5, longest_s=300.0, forget_s=3600.0)
        self._accounts = Brake(clock, free=10, longest_s=60.0, forget_s=3600.0)
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def wait_s(self, name: str, address: str) -> float:
        """How long a try for this account from this address must wait. [s]"""
        place = place_of(address)
        known = (name, place) in self._known
        return max(self._addresses.wait_s(place), 0.0 if known else self._accounts.wait_s(name))

    def failed(self, name: str, address: str) -> None:
        """Note a wrong try."""
        self._addresses.failed(place_of(address))
        self._accounts.failed(name)

    def succeeded(self, name: str, address: str) -> None:
        """Forget the wrong tries, and know the place from now on."""
        place = place_of(address)
        self._addresses.succeeded(place)
        self._accounts.succeeded(name)
        self._known[name, place] = None
        self._known.move_to_end((name, place))
        while len(self._known) > MOST_KEYS:
            self._known.popitem(last=False)


def place_of(address: str) -> str:
    """What an address counts as: itself, or its /64 network where it is IPv6, of which one client has 2**64."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped) if mapped is not None else str(ipaddress.ip_network((int(found), 64), strict=False))
    return str(found)
