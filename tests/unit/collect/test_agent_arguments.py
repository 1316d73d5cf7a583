"""What the agent is told by arguments and environment: refused in one line where it cannot be."""

from __future__ import annotations

import pytest

from carbon.collect.agent import main


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("--rate-hz=0", "from 1 to 20"),
        ("--rate-hz=1000", "from 1 to 20"),
        ("--rate-hz=nan", "from 1 to 20"),
        ("--rate-hz=fast", "invalid"),
        ("--period-s=0", "from 0.1 to 3600"),
        ("--period-s=-1", "from 0.1 to 3600"),
        ("--period-s=inf", "from 0.1 to 3600"),
    ],
)
def test_a_rate_that_cannot_be_kept_is_refused(
    capsys: pytest.CaptureFixture[str], argument: str, told: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([argument])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("name", ["CARBON_AGENT_RATE_HZ", "CARBON_AGENT_PERIOD_S"])
def test_the_environment_is_held_to_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setenv(name, "0")
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert "is from" in capsys.readouterr().err
