"""Intensity from files as people have them: what is read, and what is left out and named."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.clock import from_rfc3339, to_rfc3339
from carbon.domain.intensity import EmissionScope, PointKind
from carbon.errors import InvalidInput
from carbon.imports.intensity_csv import BadCell, IntensityTable, Unit, read_intensity_csv

HOUR_MS = 3_600_000
START_MS = from_rfc3339("2022-01-01T00:00:00Z")


def write(folder: Path, *lines: str) -> Path:
    path = folder / "intensity.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def values(table: IntensityTable) -> list[float]:
    return [point.g_per_kwh for point in table.points]


@given(
    cells=st.lists(
        st.floats(0.1, 2000.0) | st.sampled_from(["", "nan", "-", "0", "-4", "1e9", "inf"]),
        min_size=2,
        max_size=40,
    )
)
def test_every_row_is_a_point_or_a_bad_cell(
    cells: list[float | str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = [f"{to_rfc3339(START_MS + i * HOUR_MS)},{cell}" for i, cell in enumerate(cells)]
    table = read_intensity_csv(write(tmp_path_factory.mktemp("csv"), "t,DE", *rows), "DE")
    assert values(table) == [cell for cell in cells if isinstance(cell, float)]
    assert [bad.line for bad in table.bad] == [
        i for i, cell in enumerate(cells, start=2) if isinstance(cell, str)
    ]


@given(order=st.permutations(range(12)))
def test_the_order_of_the_rows_does_not_matter(
    order: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = [f"{to_rfc3339(START_MS + i * HOUR_MS)},{100 + i}" for i in order]
    table = read_intensity_csv(write(tmp_path_factory.mktemp("csv"), "t,DE", *rows), "DE")
    assert values(table) == [100.0 + i for i in range(12)]
    assert all(a.end_ms == b.start_ms for a, b in pairwise(table.points))


@given(missing=st.sets(st.integers(1, 22), max_size=9))
def test_a_missing_row_is_a_gap_and_no_value_is_stretched_over_it(
    missing: set[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = [
        f"{to_rfc3339(START_MS + i * HOUR_MS)},{100 + i}" for i in range(24) if i not in missing
    ]
    table = read_intensity_csv(write(tmp_path_factory.mktemp("csv"), "t,DE", *rows), "DE")
    if table.step_ms == HOUR_MS:
        assert len(table.points) == 24 - len(missing)
        assert all(point.end_ms - point.start_ms == HOUR_MS for point in table.points)


def test_a_column_per_zone(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "datetime_utc,DE,FR",
        "2022-01-01 00:00:00,216.5,50.5",
        "2022-01-01 01:00:00,220,51",
    )
    table = read_intensity_csv(path, "FR")
    assert (table.zone, table.column, table.step_ms) == ("FR", "FR", HOUR_MS)
    assert values(table) == [50.5, 51.0]
    assert table.points[0].start_ms == START_MS, "a time without an offset is UTC"
    assert table.points[0].kind is PointKind.ACTUAL
    assert (table.duplicates, table.bad) == (0, ())


@pytest.mark.parametrize(
    "times",
    [
        ["2022-01-01T00:00:00Z", "2022-01-01T00:30:00Z"],
        ["2022-01-01T01:00:00+01:00", "2022-01-01T01:30:00+01:00"],
        ["2022-01-01T00:00Z", "2022-01-01T00:30Z"],
        ["2022-01-01 00:00:00", "2022-01-01 00:30:00"],
        ["1640995200", "1640997000"],
        ["1640995200000", "1640997000000"],
    ],
)
def test_the_ways_to_write_a_time(tmp_path: Path, times: list[str]) -> None:
    path = write(tmp_path, "time,carbon_intensity", *(f"{time},300" for time in times))
    table = read_intensity_csv(path, "DE")
    assert [p.start_ms for p in table.points] == [START_MS, START_MS + HOUR_MS // 2]
    assert table.zone == "DE"


def test_dates_go_before_unix_times_of_the_polling(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "timestamp,zone_datetime,status,zone_name,carbon_intensity_avg,fossil",
        "1640995805,2022-01-01T00:00:00.000Z,ok,CA-ON,54,7.77",
        "1640997604,2022-01-01T01:00:00.000Z,ok,CA-ON,58,8.67",
    )
    table = read_intensity_csv(path, "Ontario")
    assert (table.zone, table.column) == ("CA-ON", "carbon_intensity_avg")
    assert table.points[1].start_ms == START_MS + HOUR_MS


@pytest.mark.parametrize(
    ("scope", "value"), [(EmissionScope.LIFECYCLE, 175.5), (EmissionScope.DIRECT, 133.6)]
)
def test_of_a_life_cycle_and_a_direct_column_the_one_asked_for(
    tmp_path: Path, scope: EmissionScope, value: float
) -> None:
    path = write(
        tmp_path,
        "Datetime (UTC),Zone Id,Carbon Intensity gCO₂eq/kWh (direct),"
        "Carbon Intensity gCO₂eq/kWh (LCA),Low Carbon Percentage",
        "2022-01-01 00:00:00,ES,133.6,175.5,76.3",
        "2022-01-01 01:00:00,ES,139.1,181.5,75.2",
    )
    table = read_intensity_csv(path, "ES", scope=scope)
    assert (table.zone, table.scope, values(table)[0]) == ("ES", scope, value)


def test_a_column_named_in_full_says_its_own_scope(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "time,Zone Id,intensity (direct),intensity (LCA)",
        "2022-01-01 00:00:00,ES,133.6,175.5",
        "2022-01-01 01:00:00,ES,139.1,181.5",
    )
    table = read_intensity_csv(path, "intensity (direct)")
    assert (table.zone, table.scope) == ("ES", EmissionScope.DIRECT)


def test_of_a_time_that_comes_twice_the_last_value_counts(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "time,DE",
        "2022-01-01 00:00:00,300",
        "2022-01-01 01:00:00,310",
        "2022-01-01 00:00:00,305",
        "2022-01-01 01:00:00,",
    )
    table = read_intensity_csv(path, "DE")
    assert values(table) == [305.0, 310.0]
    assert table.duplicates == 2


def test_bad_cells_are_named_with_their_lines(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "time,DE",
        "2022-01-01 00:00:00,300",
        "2022-01-01 01:00:00,",
        "2022-01-01 02:00:00,n/a",
        "2022-01-01 03:00:00,NaN",
        "2022-01-01 04:00:00,0",
        "soon,300",
        "2022-01-01 05:00:00",
        "2022-01-01 06:00:00,310",
    )
    table = read_intensity_csv(path, "DE")
    assert values(table) == [300.0, 310.0]
    assert table.bad == (
        BadCell(3, "", "no_value"),
        BadCell(4, "n/a", "not_a_number"),
        BadCell(5, "NaN", "not_a_number"),
        BadCell(6, "0", "implausible"),
        BadCell(7, "soon", "no_time"),
        BadCell(8, "", "no_value"),
    )


def test_a_forecast_file_stays_a_forecast(tmp_path: Path) -> None:
    path = write(tmp_path, "time,moer", "2022-01-01T00:00Z,300", "2022-01-01T00:05Z,310")
    table = read_intensity_csv(path, "CAISO_NORTH", kind=PointKind.FORECAST)
    assert {point.kind for point in table.points} == {PointKind.FORECAST}
    assert table.step_ms == 300_000


def test_a_day_of_23_hours_in_local_time_is_no_gap(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "time,DE",
        "2022-03-27T01:00:00+01:00,300",
        "2022-03-27T03:00:00+02:00,310",
        "2022-03-27T04:00:00+02:00,320",
    )
    points = read_intensity_csv(path, "DE").points
    assert all(a.end_ms == b.start_ms for a, b in pairwise(points))


def failure(path: Path, column: str = "DE") -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        read_intensity_csv(path, column)
    return caught.value


def test_a_missing_column_names_those_that_resemble_it(tmp_path: Path) -> None:
    path = write(tmp_path, "time,US-CAL-CISO,US-NW-PACW", "2022-01-01,1,2", "2022-01-02,1,2")
    error = failure(path, "CAL-CISO")
    assert error.code == "column_missing"
    assert error.extra["near"] == ["US-CAL-CISO"]
    assert "US-CAL-CISO" in error.detail


def test_the_case_of_a_column_does_not_matter(tmp_path: Path) -> None:
    path = write(tmp_path, "time,DE,FR", "2022-01-01 00:00,1,2", "2022-01-01 01:00,3,4")
    assert values(read_intensity_csv(path, "fr")) == [2.0, 4.0]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([""], "file_unreadable"),
        (["time,DE"], "file_unreadable"),
        (["time,DE", "noon,300", "one,310"], "time_missing"),
        (["time,DE", "2022-01-01 00:00:00,300"], "step_unknown"),
        (["time,DE", "2022-01-01 00:00:00,300", "2022-01-01 00:00:00,310"], "step_unknown"),
    ],
)
def test_a_file_that_cannot_be_meant_says_why(tmp_path: Path, lines: list[str], code: str) -> None:
    assert failure(write(tmp_path, *lines)).code == code


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    assert failure(tmp_path / "absent.csv").code == "file_unreadable"
    assert failure(tmp_path).code == "file_unreadable"
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"time,DE\n\xff\xfe\x00,1\n")
    assert failure(binary).code == "file_unreadable"


def test_a_byte_order_mark_and_windows_line_ends_are_no_matter(tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    path.write_bytes(
        b"\xef\xbb\xbftime,DE\r\n2022-01-01 00:00:00,300\r\n2022-01-01 01:00:00,310\r\n"
    )
    assert values(read_intensity_csv(path, "DE")) == [300.0, 310.0]


DATA = Path(os.environ.get("CARBON_BENCH_DATA", Path(__file__).parents[4] / "shared" / "data"))


@pytest.mark.parametrize(
    ("name", "column", "zone", "step_ms", "points"),
    [
        ("zones_2022_hourly.csv", "DE", "DE", HOUR_MS, 8760),
        ("ES_2022_hourly.csv", "ES", "ES", HOUR_MS, 8760),
        ("US-CAL-CISO_2021_hourly.csv", "US-CAL-CISO", "US-CAL-CISO", HOUR_MS, 8760),
        ("CA-ON_gappy_polls.csv", "CA-ON", "CA-ON", HOUR_MS, 8300),
        ("caiso_north_moer_5min.csv", "CAISO_NORTH", "CAISO_NORTH", 300_000, 8000),
        ("gb_24h_forecast.csv", "GB", "GB", HOUR_MS // 2, 48),
    ],
)
def test_real_files(name: str, column: str, zone: str, step_ms: int, points: int) -> None:
    path = DATA / "carbon" / name
    if not path.exists():
        pytest.skip(f"no {path}; set CARBON_BENCH_DATA")
    table = read_intensity_csv(path, column)
    assert (table.zone, table.step_ms) == (zone, step_ms)
    assert len(table.points) >= points
    assert all(a.end_ms <= b.start_ms for a, b in pairwise(table.points))


@pytest.mark.parametrize(
    ("unit", "g_per_kwh"),
    [
        (Unit.G_PER_KWH, 800.0),
        (Unit.KG_PER_MWH, 800.0),
        (Unit.LB_PER_MWH, 800 * 0.45359237),
        (Unit.G_PER_MJ, None),  # 2 880 g/kWh: nobody burns that
    ],
)
def test_a_unit_that_is_told_is_turned_into_grams_per_kwh(
    tmp_path: Path, unit: Unit, g_per_kwh: float | None
) -> None:
    file = write(tmp_path, "time,DE", "2022-01-01T00:00,800", "2022-01-01T01:00,100")
    table = read_intensity_csv(file, "DE", unit=unit)
    if g_per_kwh is None:
        assert [cell.reason for cell in table.bad] == ["implausible"]
    else:
        assert values(table)[0] == pytest.approx(g_per_kwh)
