"""All settings, read once. Each is an environment variable `CARBON_<NAME>`."""

from __future__ import annotations

import os
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from carbon.data_dir import default_data_dir
from carbon.errors import CarbonError

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="CARBON_", frozen=True, extra="ignore")

    #: Database file, keys, agent spool, job logs.
    data_dir: Path = default_data_dir()
    #: SQLAlchemy URL; unset means SQLite in the data folder.
    db_url: str | None = None
    #: Folder that this service and every node of a Slurm cluster share; unset means no Slurm.
    slurm_dir: Path | None = None
    #: Whether Slurm users' own jobs with `carbon:deadline=…` are let go at clean times.
    slurm_release: bool = False
    #: Dashboard of a Ray cluster, such as `http://head:8265`; unset means no Ray.
    ray_address: str | None = None
    #: Namespace in which jobs become Kubernetes Jobs; unset means none do.
    kubernetes_namespace: str | None = None
    #: Image of such jobs that name none.
    kubernetes_image: str | None = None
    #: Whether Kubernetes users' own suspended Jobs are let go at clean times.
    kubernetes_release: bool = False
    #: TOML file of the systems that jobs may be handed to by a call; unset means none.
    webhooks: Path | None = None
    #: Through which notices are mailed, `smtps://user:secret@mail.example.org`; unset means that
    #: none are. It may stand in the file that CARBON_SMTP_URL_FILE names.
    smtp_url: SecretStr | None = None
    smtp_url_file: Path | None = None
    #: From whom they come; by default carbon@ the server.
    smtp_from: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    #: Grid zone of this machine and of energy that names none, such as `DE` or `US-CAL-CISO`.
    zone: str | None = None
    #: Civil days, months and fiscal years follow this zone; storage is UTC.
    timezone: str = "UTC"
    #: Team of the local admin key and of people who sign in on this machine.
    team: str = "default"
    #: Whether grid feeds may be asked over the network.
    feeds: bool = True
    #: Rules that say whose energy a metric is (`docs/imports.md`); unset means the shipped ones.
    mapping: Path | None = None
    #: Exporters that this service reads itself (`docs/imports.md`).
    scrape: Path | None = None
    #: Base addresses of feeds, overridden by tests and mirrors.
    neso_url: str = "https://api.carbonintensity.org.uk"
    energy_charts_url: str = "https://api.energy-charts.info"
    rte_url: str = "https://odre.opendatasoft.com"
    electricitymaps_url: str = "https://api.electricitymaps.com/v4"
    watttime_url: str = "https://api.watttime.org"
    entsoe_url: str = "https://web-api.tp.entsoe.eu/api"
    eia_url: str = "https://api.eia.gov/v2"
    eia_files_url: str = "https://www.eia.gov/electricity/gridmonitor/sixMonthFiles"
    feed_timeout_s: float = 10.0
    #: Keys of feeds; each may stand in a file instead, named by `CARBON_<NAME>_FILE`.
    electricitymaps_key: SecretStr | None = None
    electricitymaps_key_file: Path | None = None
    entsoe_key: SecretStr | None = None
    entsoe_key_file: Path | None = None
    eia_key: SecretStr | None = None
    eia_key_file: Path | None = None
    watttime_user: str | None = None
    watttime_password: SecretStr | None = None
    watttime_password_file: Path | None = None
    #: Zones that the Electricity Maps key may see, by commas; unset means CARBON_ZONE.
    electricitymaps_zones: str = ""
    #: WattTime's region of each zone, as `US-CAL-CISO=CAISO_NORTH,US-TEX-ERCO=ERCOT_NORTHCENTRAL`.
    watttime_regions: str = ""
    #: Set of factors by which a generation mix is rated: `carbon factors list --kind intensity`.
    source_factors: str = "ipcc_ar5_2014"
    #: A file or URL with the site's own intensity, for CARBON_ZONE.
    site_intensity: str | None = None
    #: Sources that may be passed on although their licence forbids it by default, by commas: the
    #: owner's own contract allows it.
    redistribute: str = ""
    #: Largest request body, as sent and (below) after decompression.
    max_body_bytes: int = 8 * 1024 * 1024
    max_decoded_bytes: int = 64 * 1024 * 1024
    #: Days that raw readings stay in the database before they go to the cold tier.
    hot_days: int = Field(14, ge=2)
    #: Days that 5-minute buckets are kept; quarter-hours last.
    bucket_days: int = Field(90, ge=15)
    #: The cold tier: a folder, or an address that fsspec knows (`s3://bucket/prefix`); unset means
    #: `cold` in the data folder.
    cold_store: str | None = None
    #: Names that writes may create on their own, per deployment.
    max_created_names: int = 100_000
    #: `carbon up` starts this machine's agent as its child.
    agent: bool = True
    agent_period_s: float = Field(10.0, ge=0.1, le=3600)
    agent_rate_hz: float = Field(10.0, ge=1, le=20)
    log_level: str = "info"

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        ZoneInfo(value)
        return value

    def secret(self, name: str) -> str | None:
        """The key of that name, from its variable or its file, without white space around it."""
        given: SecretStr | None = getattr(self, name)
        if given is not None:
            return given.get_secret_value().strip() or None
        path: Path | None = getattr(self, f"{name}_file")
        return path.read_text(encoding="utf-8").strip() or None if path else None

    @property
    def database_url(self) -> str:
        return self.db_url or f"sqlite:///{self.data_dir / 'carbon.db'}"

    @property
    def is_loopback(self) -> bool:
        return self.host in LOOPBACK_HOSTS

    @property
    def agent_dir(self) -> Path:
        return self.data_dir / "agent"


def make_private_dir(path: Path) -> Path:
    """Creates a folder that only this user can read.

    Raises CarbonError(`data_dir_not_writable`).
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        if os.name == "posix" and path.stat().st_uid == os.getuid():
            path.chmod(0o700)
    except OSError as error:
        raise CarbonError(
            "data_dir_not_writable",
            f"cannot make the data folder {path}: {error.strerror}; "
            "mend its permissions or choose another with --data-dir",
        ) from error
    return path
