"""Every setting, read once from the environment and passed down as plain values.

A setting is named ``MILLRACE_…``; those of a group have two underscores:
``MILLRACE_HISTORY__DAYS=14``. A name that is not known is refused, because a setting that does
nothing on account of a typo is worse than none.

The structs are msgspec's, which this process has loaded anyway: reading settings must not cost a
command line tool the import of a web framework's models (0.4 s, 15 MB).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from millrace.errors import SettingsInvalid
from millrace.vault.secret import Secret

PREFIX = "MILLRACE_"
TESTING = "MILLRACE_TEST_"
"""Read by the tests only; never refused."""

Words = tuple[str, ...]
"""In the environment: separated by commas."""


class _Group(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings that belong together."""


class LogSettings(_Group, frozen=True, kw_only=True):
    """What is logged, and how."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="The least important message that is written."),
    ] = "info"
    format: Annotated[
        Literal["text", "json"], Meta(description="text for people, json for machines.")
    ] = "text"


class EgressSettings(_Group, frozen=True, kw_only=True):
    """Where modules may connect to."""

    allow: Annotated[
        Words,
        Meta(
            description="Private networks that modules may call: `10.1.0.0/16` or, with one port, "
            "`127.0.0.1/32:8025`. Everything public is allowed, everything private is not."
        ),
    ] = ()


class LimitSettings(_Group, frozen=True, kw_only=True):
    """What executions may use."""

    operations: Annotated[
        int, Meta(ge=0, description="Operations of one execution; 0: no limit.")
    ] = 0
    transfer_bytes: Annotated[
        int, Meta(ge=0, description="Data that may enter one execution; 0: no limit.")
    ] = 0
    seconds: Annotated[
        int, Meta(ge=0, description="Time of one execution, waiting included; 0: no limit.")
    ] = 2400
    executions: Annotated[
        int, Meta(ge=1, description="Executions carried out at the same time.")
    ] = 200


class HookSettings(_Group, frozen=True, kw_only=True):
    """Webhooks."""

    reply_seconds: Annotated[
        int,
        Meta(ge=1, description="How long a caller is kept waiting for a Webhook response module."),
    ] = 180


class HistorySettings(_Group, frozen=True, kw_only=True):
    """How long things are kept."""

    details_days: Annotated[
        int, Meta(ge=0, description="Inputs and outputs of operations; 0: until the next purge.")
    ] = 60
    executions_days: Annotated[
        int, Meta(ge=1, description="The list of executions, with what they used.")
    ] = 365
    activity_days: Annotated[int, Meta(ge=1, description="Who did what.")] = 30
    webhook_days: Annotated[int, Meta(ge=1, description="The log of webhooks.")] = 30
    notification_days: Annotated[int, Meta(ge=1, description="What people were told.")] = 7


class SessionSettings(_Group, frozen=True, kw_only=True):
    """Signing in."""

    idle_seconds: Annotated[
        int, Meta(ge=60, description="A session nobody uses ends after this time.")
    ] = 1200
    absolute_seconds: Annotated[
        int, Meta(ge=60, description="Any session ends after this time.")
    ] = 12 * 3600


class Settings(_Group, frozen=True, kw_only=True):
    """Everything that can be set."""

    data: Annotated[
        Path, Meta(description="The folder that holds the database, the files and the master key.")
    ] = Path(".millrace")
    host: Annotated[str, Meta(description="The address to listen on.")] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65535, description="The port to listen on; 0: any free one.")
    ] = 8080
    public_url: Annotated[
        str,
        Meta(
            description="Where people reach this installation, `https://millrace.example.com`. "
            "Webhook addresses begin with it. Empty: the host and port above."
        ),
    ] = ""
    trusted_proxies: Annotated[
        Words,
        Meta(description="Networks of reverse proxies whose X-Forwarded-For is believed."),
    ] = ()
    master_key: Annotated[
        Secret | None,
        Meta(
            description="32 bytes in base64; seals everything that is stored. Empty: the file "
            "`master.key` in the data folder, made at the first start."
        ),
    ] = None
    apps: Annotated[
        tuple[Path, ...], Meta(description="Folders with apps of your own, separated by commas.")
    ] = ()
    log: LogSettings = LogSettings()
    egress: EgressSettings = EgressSettings()
    limits: LimitSettings = LimitSettings()
    hooks: HookSettings = HookSettings()
    history: HistorySettings = HistorySettings()
    sessions: SessionSettings = SessionSettings()

    @property
    def address(self) -> str:
        """Where people reach this installation, without a slash at the end."""
        if self.public_url:
            return self.public_url.rstrip("/")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def is_secure(self) -> bool:
        """Whether people reach it through TLS."""
        return self.address.startswith("https://")


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting as `doctor` and the documentation show it."""

    name: str
    """As in the environment."""

    path: tuple[str, ...]
    description: str
    default: Any
    type: Any


def known_settings() -> list[Setting]:
    """Every setting, in the order of the classes."""
    return list(_settings_of(Settings, (), Settings()))


def read_settings(environment: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """The settings of this process.

    Args:
        environment: Where to read; the process's environment when not given.
        overrides: Values of fields at the top that a command line option gives; None is ignored.

    Raises:
        SettingsInvalid: a name is unknown, or a value is not what it should be.
    """
    environment = os.environ if environment is None else environment
    known = {setting.name: setting for setting in known_settings()}
    found: dict[str, Any] = {}
    for name in sorted(environment):
        if not name.upper().startswith(PREFIX) or name.startswith(TESTING):
            continue
        setting = known.get(name.upper())
        if setting is None:
            raise SettingsInvalid(f"{name} is not a setting{_nearest(name.upper(), known)}")
        *groups, last = setting.path
        target = found
        for group in groups:
            target = target.setdefault(group, {})
        target[last] = _convert(setting, environment[name])
    found |= {name: value for name, value in overrides.items() if value is not None}
    settings = msgspec.convert(found, Settings, dec_hook=_decode)
    _check(settings)
    return settings


def shown(settings: Settings) -> list[tuple[str, str]]:
    """Names and values as `doctor` prints them; secrets as ``***``."""
    rows = []
    for setting in known_settings():
        value: Any = settings
        for part in setting.path:
            value = getattr(value, part)
        rows.append((setting.name, as_text(value)))
    return rows


def as_text(value: Any) -> str:
    """A value as it would stand in the environment."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value)


def _settings_of(
    struct: type[msgspec.Struct], path: tuple[str, ...], defaults: Any
) -> Iterator[Setting]:
    hints = get_type_hints(struct, include_extras=True)
    for field in msgspec.structs.fields(struct):
        default = getattr(defaults, field.name)
        if isinstance(default, _Group):
            yield from _settings_of(type(default), (*path, field.name), default)
            continue
        annotation = hints[field.name]
        meta = next(extra for extra in get_args(annotation)[1:] if isinstance(extra, Meta))
        yield Setting(
            name=PREFIX + "__".join((*path, field.name)).upper(),
            path=(*path, field.name),
            description=meta.description or "",
            default=default,
            type=annotation,
        )


def _convert(setting: Setting, text: str) -> Any:
    """The value that a text of the environment means."""
    plain = get_args(setting.type)[0]
    value: Any = text.strip()
    if get_origin(plain) is tuple:
        value = [part.strip() for part in text.split(",") if part.strip()]
    elif Secret in get_args(plain):
        return Secret(text) if text else None
    try:
        return msgspec.convert(value, setting.type, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise SettingsInvalid(f"{setting.name}: {error}") from None


def _decode(type_: type, value: Any) -> Any:
    if type_ is Path or issubclass(type_, Path):
        return Path(value).expanduser()
    if type_ is Secret:
        return value if isinstance(value, Secret) else Secret(value)
    raise NotImplementedError


def _check(settings: Settings) -> None:
    url = settings.public_url
    if url and not url.startswith(("https://", "http://")):
        raise SettingsInvalid(f"{PREFIX}PUBLIC_URL should begin with https:// (or http://)")


def _nearest(name: str, known: Mapping[str, Setting]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else "; millrace doctor lists all settings"
