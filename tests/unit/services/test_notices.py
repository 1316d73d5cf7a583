"""A restatement above the materiality reaches those whom the report names, or says why not."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_string
from email.policy import default as default_policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ledger import ADMIN, NOON_MS, TEAM, Ledger, interval
from sqlalchemy import Engine, select

from carbon.clock import to_rfc3339
from carbon.executors.webhook import signature
from carbon.services.context import Context
from carbon.services.reports import notices
from carbon.services.reports.erasure import erase_team
from carbon.services.reports.notices import send_due_notices
from carbon.services.reports.reports import issue_report, read_report
from carbon.services.reports.restatement import restate_report
from carbon.settings import Settings
from carbon.storage.engine import reading
from carbon.storage.notices import report_notice
from carbon.wire.reports import NoticeAnswer, ReportAnswer, ReportBody, RestateBody

HOUR = 3_600_000
T = NOON_MS - 6 * HOUR
BODY = ReportBody(
    to_rfc3339(T),
    to_rfc3339(T + HOUR),
    workload="w",
    title="March\r\nBcc: everybody@example.org",
    recipients=["lead@example.org", "lead@example.org", "the lead"],
    webhook="audit",
)


@dataclass
class Post:
    """A webhook and a mail server that keep what they get."""

    calls: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    mails: list[str] = field(default_factory=list)
    #: What the webhook answers, and the mail server to a message.
    answers: int = 200
    takes: bytes = b"250 taken"
    url: str = ""
    smtp: str = ""


@pytest.fixture
def post() -> Iterator[Post]:
    kept = Post()

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            kept.calls.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(kept.answers)
            self.end_headers()

        def log_message(self, *_args: Any) -> None:
            pass

    class Mail(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline():
                verb = line[:4].upper()
                if verb == b"QUIT":
                    self.wfile.write(b"221 bye\r\n")
                    return
                if verb == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines = []
                    while (part := self.rfile.readline()) not in (b".\r\n", b""):
                        lines.append(part)
                    if kept.takes.startswith(b"2"):
                        kept.mails.append(b"".join(lines).decode())
                    self.wfile.write(kept.takes + b"\r\n")
                    continue
                self.wfile.write(b"250 ok\r\n")

    with (
        ThreadingHTTPServer(("127.0.0.1", 0), Webhook) as web,
        socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mail) as mail,
    ):
        web.daemon_threads = mail.daemon_threads = True
        kept.url = f"http://127.0.0.1:{web.server_address[1]}/hook"
        kept.smtp = f"smtp://127.0.0.1:{mail.server_address[1]}"
        for server in (web, mail):
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield kept
        web.shutdown()
        mail.shutdown()


@pytest.fixture
def webhooks(post: Post, tmp_path: Path) -> Path:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    path = tmp_path / "webhooks.toml"
    path.write_text(
        f'[audit]\nurl = "{post.url}"\nsecret_file = "{secret}"\n'
        f'[theirs]\nurl = "{post.url}"\nsecret_file = "{secret}"\nteams = ["other"]\n'
    )
    return path


@pytest.fixture
def ledger(
    memory: Engine, new_context: Callable[..., Context], post: Post, webhooks: Path, tmp_path: Path
) -> Iterator[Ledger]:
    context = new_context(memory)
    settings = {"webhooks": webhooks, "smtp_url": post.smtp, "feeds": False, "zone": "DE"}
    made = Ledger(Context(memory, Settings(data_dir=tmp_path, **settings), context.clock))
    made.intensity(T, [100.0])
    made.send([interval(T, T + HOUR, 3_600_000_000)])
    yield made
    made.close()


def restated(ledger: Ledger, body: ReportBody = BODY) -> tuple[str, ReportAnswer]:
    """(the first report, its restatement)"""
    issued = issue_report(ledger.context, ADMIN, body)
    ledger.send([interval(T, T + HOUR, 360_000_000, device="gpu-5")])
    done = restate_report(ledger.context, ADMIN, issued.id, RestateBody(True, "a late meter"))
    assert done.restated is not None
    return issued.id, done.restated


def noticed(ledger: Ledger, report: str) -> dict[tuple[str, str], NoticeAnswer]:
    found = read_report(ledger.context, ADMIN, report).notices
    return {(one.channel, one.target): one for one in found}


def test_a_notice_is_due_from_the_restatement_on_and_sent_once(ledger: Ledger, post: Post) -> None:
    old, new = restated(ledger)
    assert [one.state for one in new.notices] == ["due", "due", "due"]
    assert send_due_notices(ledger.context) == 2
    assert send_due_notices(ledger.context) == 0
    assert (len(post.calls), len(post.mails)) == (1, 1)
    states = {target: one.state for (_, target), one in noticed(ledger, old).items()}
    assert states == {"audit": "sent", "lead@example.org": "sent", "the lead": "not_sent"}
    assert noticed(ledger, old) == noticed(ledger, new.id)


def test_the_call_is_signed_and_says_what_was_restated(ledger: Ledger, post: Post) -> None:
    old, new = restated(ledger)
    send_due_notices(ledger.context)
    [(headers, body)] = post.calls
    assert headers["carbon-signature"] == signature("s3cret", body)
    told = json.loads(body)
    assert headers["idempotency-key"] == told["notice"]
    assert (told["event"], told["report"], told["superseded_by"]) == (
        "report.restated",
        old,
        new.id,
    )
    assert (told["reason"], told["change"] > 0.05) == ("a late meter", True)


def test_the_mail_says_the_same_and_no_title_adds_a_header(ledger: Ledger, post: Post) -> None:
    old, new = restated(ledger)
    send_due_notices(ledger.context)
    [mail] = post.mails
    read = message_from_string(mail, policy=default_policy)
    assert (read["To"], read["Bcc"]) == ("lead@example.org", None)
    text = read.get_content()
    assert all(part in text for part in (old, new.id, "a late meter"))


def test_what_is_not_taken_is_tried_again_later(ledger: Ledger, post: Post) -> None:
    post.answers, post.takes = 503, b"451 later"
    old, _ = restated(ledger)
    assert send_due_notices(ledger.context) == 0
    hook = noticed(ledger, old)["webhook", "audit"]
    assert (hook.state, hook.detail) == ("due", "audit answered 503")
    post.answers, post.takes = 200, b"250 taken"
    assert send_due_notices(ledger.context) == 0  # not before it waited
    ledger.context.clock.sleep(31)
    assert send_due_notices(ledger.context) == 2
    keys = {headers["idempotency-key"] for headers, _ in post.calls}
    assert (len(post.calls), len(keys)) == (2, 1)


def test_one_that_never_answers_is_given_up_and_says_so(
    ledger: Ledger, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "_MOST_ATTEMPTS", 3)
    post.answers, post.takes = 500, b"550 no"
    old, _ = restated(ledger)
    for _ in range(4):
        send_due_notices(ledger.context)
        ledger.context.clock.sleep(7 * 3_600)
    assert noticed(ledger, old)["webhook", "audit"].state == "failed"
    assert len(post.calls) == 3


@pytest.mark.parametrize("webhook", ["theirs", "http://127.0.0.1/elsewhere", "unheard of"])
def test_no_report_makes_the_service_call_an_address_of_its_own_choosing(
    ledger: Ledger, post: Post, webhook: str
) -> None:
    body = ReportBody(BODY.start, BODY.end, workload="w", webhook=webhook)
    old, _ = restated(ledger, body)
    send_due_notices(ledger.context)
    told = noticed(ledger, old)["webhook", webhook]
    assert (told.state, "CARBON_WEBHOOKS" in told.detail) == ("not_sent", True)
    assert post.calls == []


def test_a_change_below_the_materiality_tells_nobody(ledger: Ledger, post: Post) -> None:
    _, new = restated(ledger, msgspec.structs.replace(BODY, materiality=0.5))
    assert (new.notices, send_due_notices(ledger.context)) == ([], 0)
    assert (post.calls, post.mails) == ([], [])


def test_a_team_that_is_erased_leaves_no_address_behind(ledger: Ledger, post: Post) -> None:
    ledger.send([interval(T, T + HOUR, 3_600_000_000, device="gpu-1")], principal=TEAM)
    issued = issue_report(ledger.context, TEAM, BODY)
    ledger.send([interval(T, T + HOUR, 3_600_000_000, device="gpu-2")], principal=TEAM)
    restate_report(ledger.context, TEAM, issued.id, RestateBody(True, "a late meter"))
    erase_team(ledger.context, "blue", "k1")
    with reading(ledger.context.engine) as connection:
        assert connection.execute(select(report_notice)).all() == []
    assert (send_due_notices(ledger.context), post.calls) == (0, [])
