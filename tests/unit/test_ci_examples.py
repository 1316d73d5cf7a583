"""The examples for CI in docs/experiments.md: YAML that is right, and scripts that do as they say.

The scripts run in the shell that each service gives them, with doubles of carbon, jq, gh and curl.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

PAPER = Path(__file__).resolve().parents[2] / "docs" / "experiments.md"
GITHUB, GITLAB = (
    yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAPER.read_text(), re.DOTALL)
)

DOUBLE = """#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
case "$(basename "$0") $*" in
  "carbon experiment run"*) echo '{"id": "exp_1"}' ;;
  "carbon experiment check exp_1 --markdown") echo "### carbon"; exit "$CHECK" ;;
  "jq"*) cat "$3" > /dev/null && echo exp_1 ;;
  *) cat comment.md >> "$CALLS" || exit 9 ;;
esac
"""


@pytest.fixture
def shell(tmp_path: Path) -> Any:
    """(exit code, what was called) of a script."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("carbon", "jq", "gh", "curl"):
        (tools / name).write_text(DOUBLE)
        (tools / name).chmod(0o755)

    def run(script: str, check: int, **environment: str) -> tuple[int, list[str]]:
        calls = tmp_path / "calls"
        calls.write_text("")
        env = {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "CALLS": str(calls),
            "CHECK": str(check),
            **environment,
        }
        ended = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script], cwd=tmp_path, env=env, check=False
        )
        return ended.returncode, calls.read_text().splitlines()

    return run


def github_script() -> str:
    assert all(set(step) <= {"run", "env", "name", "if"} for step in GITHUB)
    return "\n".join(step["run"] for step in GITHUB)


def gitlab_script() -> str:
    (job,) = GITLAB.values()
    assert all(isinstance(line, str) for line in job["script"])
    return "\n".join(job["script"])


@pytest.mark.parametrize("check", [0, 1])
def test_github_comments_the_verdict_and_fails_with_the_gate(shell: Any, check: int) -> None:
    code, calls = shell(github_script(), check, PR="7")
    assert code == check
    assert calls[-2:] == ["gh pr comment 7 --body-file comment.md", "### carbon"]
    assert calls[0].startswith("carbon experiment run --json")


@pytest.mark.parametrize("check", [0, 1])
def test_gitlab_comments_the_verdict_and_fails_with_the_gate(shell: Any, check: int) -> None:
    where = {
        "CI_API_V4_URL": "https://gitlab/api/v4", "CI_PROJECT_ID": "3",
        "CI_MERGE_REQUEST_IID": "7", "COMMENT_TOKEN": "t",
    }  # fmt: skip
    code, calls = shell(gitlab_script(), check, **where)
    assert code == check
    assert calls[-1] == "### carbon"
    assert calls[-2].startswith("curl --fail --request POST")
    assert calls[-2].endswith("https://gitlab/api/v4/projects/3/merge_requests/7/notes")
    assert "body=<comment.md" in calls[-2]


def test_what_the_scripts_need_is_given_to_them() -> None:
    """Secrets come by the environment, and never stand in a command."""
    (env,) = (step["env"] for step in GITHUB if "env" in step)
    assert {"PR", "GH_TOKEN", "CARBON_URL", "CARBON_KEY"} <= set(env)
    assert env["CARBON_KEY"] == "${{ secrets.CARBON_KEY }}"
    assert "CARBON_KEY" not in github_script() + gitlab_script()
