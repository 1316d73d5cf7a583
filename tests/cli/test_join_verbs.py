"""`carbon agent --join` as a person walks it, without a server: each trouble is one line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from command_line import Ended

Carbon = Callable[..., Ended]


def test_a_token_needs_a_server_to_go_to(carbon: Carbon) -> None:
    told = carbon("agent", "--join", "cj_x", "--once").failed(2)
    assert "--url or CARBON_URL" in told


def test_tokens_are_asked_of_a_server(carbon: Carbon) -> None:
    for words in (("host", "token"), ("host", "token", "list"), ("host", "token", "revoke", "x")):
        assert "carbon up" in carbon(*words).failed(1)


def test_the_agent_alone_loads_no_command_line(nowhere: Path) -> None:
    """As unit files and containers start it, for good."""
    program = (
        "import sys; sys.argv[1:] = ['agent']\n"
        "import carbon.collect.agent as agent\n"
        "agent.main = lambda words: print(words, 'typer' in sys.modules)\n"
        "from carbon.__main__ import main\n"
        "main()\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert told.stdout == "[] False\n"


def test_with_words_of_its_own_it_is_a_verb_like_any_other() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "carbon", "agent", "--fly"], capture_output=True, text=True
    )
    assert told.returncode == 2
    assert told.stderr.count("\n") == 1
    assert "carbon agent --help" in told.stderr
