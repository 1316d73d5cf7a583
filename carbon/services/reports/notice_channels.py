"""The two ways to tell people of a restatement: a signed call, and a mail.

A call goes to a target of the TOML file that CARBON_WEBHOOKS names, so that no report can make
this service call an address of its own choosing. A mail goes through CARBON_SMTP_URL, such as
`smtps://user:secret@mail.example.org`, or `smtp://`, which turns to TLS where that is offered.
"""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

import httpx2
import msgspec

from carbon.executors.webhook import read_targets, signature
from carbon.settings import Settings

_TIMEOUT_S: Final = 10.0


class Unreachable(Exception):
    """There is no way to this target from here, now or later; the text says what to set."""


class NotTaken(Exception):
    """The target, or the way to it, did not take it this time."""


class Told(msgspec.Struct, frozen=True):
    """What a call says; a mail says the same in words."""

    event: str  #: `report.restated`
    notice: str  #: the same each time that it is tried
    report: str
    superseded_by: str
    team: str
    title: str
    reason: str
    #: Greatest relative change of a total or score; null where one appears or vanishes.
    change: float | None


def call(settings: Settings, team: str, target: str, told: Told) -> str:
    """Tells a webhook; answers what it answered. Raises Unreachable and NotTaken."""
    known = read_targets(settings.webhooks) if settings.webhooks else {}
    found = known.get(target)
    if found is None or (found.teams is not None and team not in found.teams):
        raise Unreachable(f"no target {target!r} for team {team!r} in CARBON_WEBHOOKS")
    body = msgspec.json.encode(told)
    try:
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": told.notice,
            "Carbon-Signature": signature(found.secret, body),
        }
        answer = httpx2.post(found.url, content=body, headers=headers, timeout=_TIMEOUT_S)
    except (httpx2.HTTPError, OSError) as error:
        raise NotTaken(f"{target}: {error}") from error
    if not answer.is_success:
        raise NotTaken(f"{target} answered {answer.status_code}")
    return f"answered {answer.status_code}"


def mail(settings: Settings, address: str, told: Told) -> str:
    """Sends a mail; answers which server took it. Raises Unreachable and NotTaken."""
    if "@" not in parseaddr(address)[1]:
        raise Unreachable(f"{address!r} is no mail address")
    if not (text := settings.secret("smtp_url")):
        raise Unreachable("no mail server: set CARBON_SMTP_URL")
    server = urlsplit(text)
    message = _message(settings.smtp_from or f"carbon@{server.hostname}", address, told)
    try:
        with _connected(server) as smtp:
            if server.username:
                smtp.login(unquote(server.username), unquote(server.password or ""))
            smtp.send_message(message)
    except (smtplib.SMTPException, OSError) as error:
        raise NotTaken(f"{server.hostname}: {error}") from error
    return f"taken by {server.hostname}"


def _connected(server: SplitResult) -> smtplib.SMTP:
    host = server.hostname or "localhost"
    if server.scheme == "smtps":
        tls = ssl.create_default_context()
        return smtplib.SMTP_SSL(host, server.port or 465, timeout=_TIMEOUT_S, context=tls)
    smtp = smtplib.SMTP(host, server.port or 25, timeout=_TIMEOUT_S)
    smtp.ehlo()
    if smtp.has_extn("starttls"):
        smtp.starttls(context=ssl.create_default_context())
    elif server.username:
        smtp.close()
        raise smtplib.SMTPException("it offers no TLS, and a password is not sent without")
    return smtp


def _message(sender: str, address: str, told: Told) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = sender, address
    message["Subject"] = " ".join(f"Restated: {told.title or told.report}".split())
    message["Message-ID"] = f"<{told.notice}@carbon>"
    change = "A figure appeared or vanished" if told.change is None else f"{told.change:.1%}"
    message.set_content(
        f"The SCI report {told.report} of team {told.team} was restated as {told.superseded_by}.\n"
        f"Greatest change of a total or score: {change}.\n"
        f"Reason: {told.reason}\n\n"
        "The first report stays as it was issued. You are named as a recipient in it.\n"
    )
    return message
