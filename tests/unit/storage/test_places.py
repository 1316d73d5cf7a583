"""Where a device stands: who is believed before whom."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from job_house import fresh_engine
from sqlalchemy import Connection, Engine

from carbon.domain.yearly import WORLD
from carbon.storage.engine import writing
from carbon.storage.identities import Identities
from carbon.storage.names import correction, host_period
from carbon.storage.places import Place, places_at, state_zone

AT = 1_000


class House:
    """A device on a host, and what is said of where they stand."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        ids = Identities(connection, 0, {})
        self.host = ids.host("h")
        self.device = ids.device("gpu-0", self.host)
        self.recorded_ms = 0

    def correct(self, **values: object) -> None:
        fact = {"kind": "host", "body": "{}", "reason": "r", "actor": "a", "recorded_ms": 0}
        made = self.connection.execute(correction.insert().values(**fact)).inserted_primary_key
        assert made is not None
        self.inventory(correction_id=made[0], **values)

    def inventory(self, start_ms: int = 0, **values: object) -> None:
        self.recorded_ms += 1
        row = {"host_id": self.host, "start_ms": start_ms, "recorded_ms": self.recorded_ms}
        self.connection.execute(host_period.insert().values(**row, **values))

    def state(self, zone: str, is_guess: bool = False, start_ms: int = 0) -> bool:
        return state_zone(self.connection, self.device, zone, is_guess, start_ms, 0)

    def place(self, default_zone: str | None = None, at_ms: int = AT) -> Place:
        return places_at(self.connection, [self.device], at_ms, default_zone)[self.device]


@pytest.fixture
def house() -> Iterator[House]:
    engine: Engine = fresh_engine()
    with writing(engine) as connection:
        yield House(connection)
    engine.dispose()


#: Best first: what is said, how it is said, and the zone that it says.
VOICES = ["correction", "stated", "inventory", "deployment", "guess"]


@given(st.sets(st.sampled_from(VOICES)))
def test_the_best_voice_is_believed(voices: set[str]) -> None:
    engine = fresh_engine()
    with writing(engine) as connection:
        house = House(connection)
        if "correction" in voices:
            house.correct(zone="Z-correction")
        if "inventory" in voices:
            house.inventory(zone="Z-inventory")
        # A device has one statement at a time: what is stated replaces a guess.
        if "stated" in voices or "guess" in voices:
            is_guess = "stated" not in voices
            house.state("Z-guess" if is_guess else "Z-stated", is_guess)
        place = house.place("Z-deployment" if "deployment" in voices else None)
        best = next((f"Z-{voice}" for voice in VOICES if voice in voices), WORLD)
        assert place.zone == best
        assert ("zone_guessed" in place.flags) == (best == "Z-guess")
        assert ("zone_unknown" in place.flags) == (best == WORLD)
    engine.dispose()


def test_nobody_s_word_is_the_world_and_says_so(house: House) -> None:
    assert house.place() == Place(WORLD, 1.0, ("zone_unknown", "pue_unset"))


def test_a_statement_holds_from_its_time_and_the_first_reaches_back(house: House) -> None:
    assert house.state("DE", start_ms=500)
    assert house.state("FR", start_ms=2_000)
    assert [house.place(at_ms=at).zone for at in (0, 499, 500, 1_999, 2_000, 9_999)] == [
        *("DE", "DE", "DE", "DE"),
        *("FR", "FR"),
    ]


def test_saying_the_same_again_says_nothing_new(house: House) -> None:
    assert house.state("DE", start_ms=500)
    assert not house.state("DE", start_ms=900)
    assert not house.state("DE", start_ms=100)  # the first reaches back
    assert house.state("DE", is_guess=True, start_ms=1_500)


def test_the_latest_word_of_the_inventory_holds_field_by_field(house: House) -> None:
    house.inventory(zone="DE", pue=1.4)
    house.inventory(zone="FR")
    assert house.place() == Place("FR", 1.4, ())


def test_the_inventory_holds_from_its_time_until_its_end(house: House) -> None:
    house.inventory(zone="FR", start_ms=500, end_ms=1_500, pue=1.2)
    assert [house.place("DE", at).zone for at in (499, 500, 1_499, 1_500)] == [
        *("DE", "FR", "FR", "DE")
    ]
    assert house.place("DE", 499).flags == ("pue_unset",)


def test_a_correction_of_the_pue_leaves_the_zone_as_stated(house: House) -> None:
    house.state("DE")
    house.inventory(zone="FR", pue=2.0)
    house.correct(pue=1.1)
    assert house.place() == Place("DE", 1.1, ())
