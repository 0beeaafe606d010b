"""What an app may say in YAML: the single source for parsing, checks, forms, JSON Schema and docs.

The list of keys is meant to stay short. A new one needs three apps that want it; until then a
Python function named by ``call:`` says the rest.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from millrace.engine.traits import Effect, Kind, ParameterTraits


class Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping whose keys are all declared; whoever derives from it repeats ``frozen``."""


class Option(Shape, frozen=True, kw_only=True):
    """One choice of a select."""

    value: Any
    label: str = ""


class Parameter(Shape, frozen=True, kw_only=True):
    """One parameter of a module, or one field of a connection."""

    name: str
    type: str = "any"
    label: str = ""
    help: str = ""
    required: bool = False
    default: Any = None
    multiline: bool = False
    mapped: bool = True
    """False: static; holes in it are not evaluated."""

    advanced: bool = False
    secret: bool = False
    """Connections: sealed, never shown again."""

    min: float | None = None
    max: float | None = None
    """Of a number, or of the length of a text."""

    pattern: str | None = None
    options: tuple[Option | str | int | float | bool | None, ...] | str | None = None
    """Choices, or ``rpc.<name>`` for choices that the service knows."""

    fields: tuple[Parameter, ...] = ()
    """Of a collection, or of the collections in an array."""

    item: str | None = None
    """Type of the primitives in an array."""

    @property
    def choices(self) -> tuple[Option, ...]:
        """The fixed choices; empty when there are none or an RPC gives them."""
        if self.options is None or isinstance(self.options, str):
            return ()
        return tuple(
            choice if isinstance(choice, Option) else Option(value=choice, label=str(choice))
            for choice in self.options
        )

    def traits(self) -> ParameterTraits:
        """What the engine must know."""
        return ParameterTraits(
            name=self.name,
            type=self.type,
            is_required=self.required,
            default=self.default,
            is_mapped=self.mapped,
            fields=tuple(field.traits() for field in self.fields),
            item_type=self.item,
            minimum=self.min,
            maximum=self.max,
            pattern=self.pattern,
            options=tuple(choice.value for choice in self.choices),
        )


class Field(Shape, frozen=True, kw_only=True):
    """One value in the bundles that a module gives."""

    name: str
    type: str = "any"
    label: str = ""
    help: str = ""
    fields: tuple[Field, ...] = ()
    item: str | None = None


class ErrorRule(Shape, frozen=True, kw_only=True):
    """What an answer with some status means."""

    type: str = "RuntimeError"
    message: str = ""
    """A template; sees ``body``, ``headers``, ``status``, ``parameters``."""


class Base(Shape, frozen=True, kw_only=True):
    """What all requests of an app have in common."""

    url: str = ""
    headers: dict[str, str] = {}
    query: dict[str, Any] = {}
    timeout_seconds: float = 40
    """Source: 40 s is the time that users of Make know (execution.md 4.1, ModuleTimeoutError)."""


class Paging(Shape, frozen=True, kw_only=True):
    """How to ask for the next page; a template sees the answer before it."""

    url: str | None = None
    query: dict[str, Any] = {}
    json: Any = None
    condition: str | bool = True
    """False ends the paging; so do an empty page, the limit and the same request twice. Templates
    see ``body``, ``headers``, ``item`` (the last one), ``page`` (from 1) and ``count`` (so far)."""


class Request(Shape, frozen=True, kw_only=True):
    """One request; every text is a template."""

    url: str = ""
    method: str = "GET"
    headers: dict[str, Any] = {}
    query: dict[str, Any] = {}
    json: Any = None
    form: dict[str, Any] | None = None
    multipart: dict[str, Any] | None = None
    text: str | None = None
    content: str | None = None
    """A template that gives a file: sent as it is."""

    condition: str | bool = True
    """False: the request is not sent and the module gives no bundle."""

    retries: int = 0
    """How often 429 and 503 are asked again within the time of the module."""

    paging: Paging | None = None


class Polling(Shape, frozen=True, kw_only=True):
    """How a polling trigger knows what is new.

    The first check obeys the parameters ``start`` (``now``, ``since`` or ``all``; default ``now``)
    and ``since``, when the module declares them.
    """

    type: Literal["date", "id"]

    id: str
    """Template over ``item``."""

    date: str | None = None
    """Template over ``item``; needed when `type` is ``date``."""

    order: Literal["asc", "desc", "unordered"] = "unordered"
    """How the service sorts. With ``desc`` the paging ends at the first item already seen."""


class Answered(Shape, frozen=True, kw_only=True):
    """How an answer becomes bundles."""

    type: Literal["automatic", "json", "text", "binary"] = "automatic"
    """``automatic`` (by Content-Type), ``json``, ``text`` or ``binary`` (the body is a file)."""

    iterate: str | None = None
    """Template that gives an array; one bundle for each ``item``."""

    bundle: Any = None
    """Template or a tree of templates; default ``{{item}}`` or ``{{body}}``."""

    limit: str | int | None = None
    """Most bundles given; also ends the paging. Default: all, for a polling trigger 1."""

    valid: str | bool = True
    """False makes a 2xx an error: some services answer 200 with ``ok: false``."""

    error: ErrorRule | None = None
    """For an answer that is not valid."""

    errors: dict[str, ErrorRule] = {}
    """By status: ``404``, ``400-409``, ``4xx``, ``*``. Before those of the app."""

    polling: Polling | None = None


class MakeModule(Shape, frozen=True, kw_only=True):
    """How Make writes this module."""

    module: str
    """``http:ActionSendData``."""

    rename: dict[str, str] = {}
    """Their parameter → ours; dots go into collections. ``*`` names our collection for all that is
    not named; an empty text drops a parameter that means nothing here."""

    values: dict[str, dict[str, Any]] = {}
    """Our parameter → their value → our value."""

    constants: dict[str, Any] = {}
    """Set on import."""

    resource: dict[str, str] = {}
    """Their parameter → the kind of team resource: ``{hook: webhook}``."""

    static: tuple[str, ...] = ()
    """Theirs that stand in ``parameters`` and not in ``mapper``."""


class AppManifest(Shape, frozen=True, kw_only=True):
    """``app.yaml``."""

    name: str
    label: str
    description: str = ""
    colour: str = "#64748b"
    docs: str = ""
    owners: tuple[str, ...] = ()
    base: Base = Base()
    errors: dict[str, ErrorRule] = {}
    exempt: dict[str, str] = {}
    """Rule of ``millrace app check`` → why this app need not keep it."""


class EffectWhen(Shape, frozen=True, kw_only=True):
    """An effect that depends on one parameter: a GET repeats without harm."""

    parameter: str
    values: dict[str, Effect]
    """Value as text, whatever its case → effect."""


class ModuleManifest(Shape, frozen=True, kw_only=True):
    """``modules/<name>.yaml``."""

    label: str
    kind: Kind
    description: str = ""
    effect: Effect | None = None
    effect_when: tuple[EffectWhen, ...] | None = None
    """The first that fits counts."""

    version: int = 1
    call: str | None = None
    """``functions.parse``: file and function of the app."""

    request: Request | None = None
    response: Answered | None = None
    blocking: bool = False
    """The function is not async and takes more than 1 ms of CPU or disk: run it in a thread."""

    resources: tuple[str, ...] = ()
    """Team resources that it names; ``connection?`` with a question mark is optional."""

    connection: tuple[str, ...] | str = ()
    """Connection types accepted: files of this app, or ``app:type`` of another."""

    connection_required: bool = True
    parameters: tuple[Parameter, ...] = ()
    open: bool = False
    """True: parameters that are not declared are passed on."""

    interface: tuple[Field, ...] = ()
    sample: Any = None
    timeout_seconds: float | None = None
    make: MakeModule | tuple[MakeModule, ...] = ()

    @property
    def connections(self) -> tuple[str, ...]:
        """The accepted connection types, without question marks."""
        names = (self.connection,) if isinstance(self.connection, str) else self.connection
        return tuple(name.rstrip("?") for name in names)

    @property
    def make_modules(self) -> tuple[MakeModule, ...]:
        """Every module of Make that becomes this one."""
        return (self.make,) if isinstance(self.make, MakeModule) else self.make


class Sign(Shape, frozen=True, kw_only=True):
    """What is added to each request to the connection's hosts; templates over ``connection``."""

    headers: dict[str, str] = {}
    query: dict[str, str] = {}


class ConnectionTest(Shape, frozen=True, kw_only=True):
    """How to find out whether a connection works."""

    request: Request | None = None
    valid: str | bool = True
    label: str = ""
    """Template over ``body``: a name for the account, shown in the list of connections."""

    call: str | None = None
    """A function instead of a request; it raises when the connection does not work."""


class Token(Shape, frozen=True, kw_only=True):
    """Where an access token comes from (OAuth 2.0 client credentials)."""

    url: str = "{{connection.token_url}}"
    scope: str = ""
    in_body: bool = False
    """True: client id and secret travel in the form instead of the Authorization header."""


class ConnectionManifest(Shape, frozen=True, kw_only=True):
    """``connections/<name>.yaml``."""

    label: str
    type: Literal["basic", "api_key", "bearer", "oauth2_client_credentials", "custom"] = "custom"
    """How requests are signed. The first four know the names of their fields: ``username``,
    ``password``; ``key``, ``name``, ``placement`` (header or query), ``prefix``; ``token``;
    ``client_id``, ``client_secret``, ``token_url``, ``scope``."""

    description: str = ""
    fields: tuple[Parameter, ...] = ()
    hosts: tuple[str, ...] = ()
    """Where its secrets may go: names, ``*.example.com``, or templates over ``connection``."""

    sign: Sign | None = None
    token: Token | None = None
    test: ConnectionTest | None = None


class RpcManifest(Shape, frozen=True, kw_only=True):
    """``rpcs/<name>.yaml``: fills a drop-down with ``{value, label}``."""

    label: str = ""
    call: str | None = None
    request: Request | None = None
    response: Answered | None = None
    connection: tuple[str, ...] | str = ()


class Exchange(Shape, frozen=True, kw_only=True):
    """One request expected and the answer given."""

    request: dict[str, Any]
    """``method``, ``url`` or ``path``, and what else is compared: ``headers``, ``query``, ``json``,
    ``form``, ``text``."""

    response: dict[str, Any] = {}
    """``status`` (200), ``headers``, and one of ``json``, ``text``, ``base64``."""


class ExpectedError(Shape, frozen=True, kw_only=True):
    """The error that a case must end with."""

    type: str
    message: str = ""
    """Part of the message."""


class Case(Shape, frozen=True, kw_only=True):
    """One entry of ``cases/<module>.yaml``: a test and an example at once."""

    case: str
    parameters: dict[str, Any] = {}
    gathered: tuple[dict[str, Any], ...] = ()
    """Aggregators: the evaluated parameters of each gathered bundle."""

    files: dict[str, dict[str, Any]] = {}
    """Name → ``{path | base64 | text, name, media_type}``; used as ``{$file: name}``."""

    connection: dict[str, Any] | None = None
    connection_type: str | None = None
    state: dict[str, Any] = {}
    state_after: dict[str, Any] | None = None
    now: str = "2026-01-01T00:00:00Z"
    timezone: str = "UTC"
    key: str = "case"
    """``call.key``."""

    records: dict[str, dict[str, Any]] = {}
    records_after: dict[str, dict[str, Any]] | None = None
    structure: tuple[dict[str, Any], ...] | None = None
    """Declared fields of the data store."""

    strict: bool = False
    exchange: tuple[Exchange, ...] = ()
    bundles: tuple[Any, ...] | None = None
    error: ExpectedError | None = None
    response: dict[str, Any] | None = None


def json_schema() -> dict[str, Any]:
    """JSON Schema of every file of an app folder, for editors that complete and underline."""
    kinds = {
        "app": AppManifest,
        "module": ModuleManifest,
        "connection": ConnectionManifest,
        "rpc": RpcManifest,
        "cases": list[Case],
    }
    schemas, definitions = msgspec.json.schema_components(
        list(kinds.values()), ref_template="#/$defs/{name}"
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A Millrace app",
        "properties": dict(zip(kinds, schemas, strict=True)),
        "$defs": definitions,
    }
