"""The agent's parts behind its meters, put together: what names, writes and delivers.

Apart from the meters because it takes longer to load than they take for their first look.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from msgspec import Struct

from carbon.collect.attributor import Attributor
from carbon.collect.batches import Identity
from carbon.collect.boot import boot_id
from carbon.collect.idle_power import IdleBook
from carbon.collect.lock import Role
from carbon.collect.machine import host_name
from carbon.collect.naming import Naming, SiteRules, read_rules
from carbon.collect.processes import ProcessTable
from carbon.collect.procfs import process_reader
from carbon.collect.recorder import IDLE_POWER, Recorder
from carbon.collect.registry import RegistryServer
from carbon.collect.spool import Spool
from carbon.collect.spool_db import SpoolDb
from carbon.collect.subjects import EMBEDDED_RULES, SubjectBook
from carbon.collect.upload import Uploader
from carbon.errors import InvalidInput

if TYPE_CHECKING:
    from carbon.collect.agent_dir import AgentDir
    from carbon.collect.host_agent import Agent

log = logging.getLogger(__name__)


class Parts(Struct, frozen=True):
    spool: Spool
    recorder: Recorder
    uploader: Uploader
    registry: RegistryServer


def assemble(agent: Agent) -> Parts:
    """Nothing of it runs yet."""
    spool = Spool(SpoolDb(agent.dir.spool))
    options = agent.options
    recorder = Recorder(
        identity=_identity(spool, agent),
        sampler=agent.sampler,
        attributor=_attributor(spool, agent),
        spool=spool,
        clock=agent.clock,
        period_ms=round(options.period_s * 1000),
    )
    uploader = Uploader(spool, agent.server_joined, agent.clock)
    spool.on_append = uploader.wake
    return Parts(spool, recorder, uploader, RegistryServer(agent.dir.socket(), agent.answer))


def _attributor(spool: Spool, agent: Agent) -> Attributor:
    idle = IdleBook(spool.db.meta(IDLE_POWER))
    if agent.role is Role.EMBEDDED:
        book = SubjectBook(EMBEDDED_RULES)
        return Attributor(agent.sampler, ProcessTable(process_reader()), book, idle)
    naming = Naming(_site_rules(agent.dir), bytes.fromhex(_pseudonym_secret(spool)))
    table = ProcessTable(process_reader(naming.reads_commands, keeps_open=True))
    return Attributor(agent.sampler, table, SubjectBook(naming.rules, naming.has_changed), idle)


def _pseudonym_secret(spool: Spool) -> str:
    secret = spool.db.meta("pseudonyms")
    if secret is None:
        secret = os.urandom(32).hex()
        spool.db.set_meta("pseudonyms", secret)
    return secret


def _site_rules(folder: AgentDir) -> SiteRules:
    """A file with an error in it costs names, and neither energy nor anybody's privacy."""
    try:
        return read_rules(folder.rules)
    except InvalidInput as error:
        log.error("the rules are left out and users hidden: %s", error.detail)
        return SiteRules(pseudonymise_users=True)


def _identity(spool: Spool, agent: Agent) -> Identity:
    host = host_name()
    source = spool.db.meta("source")
    if source is None:
        # The suffix keeps two data folders of one host apart.
        source = f"agent-{host}-{os.urandom(3).hex()}"
        spool.db.set_meta("source", source)
    boot = boot_id(agent.dir.folder)
    return Identity(source, boot, host, agent.options.zone, agent.options.zone_is_guess)
