"""The one place that chooses implementations and puts them together."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from millrace.appkit.catalog import Catalog, load_catalog
from millrace.appkit.guard import MAIL_PORTS, Guard, GuardedDialer
from millrace.appkit.http import HttpClient
from millrace.clock import Clock, SystemClock
from millrace.engine import Limits
from millrace.runtime.executions import Executions
from millrace.runtime.files import TeamFiles
from millrace.runtime.keys import TeamKeys
from millrace.runtime.named import Named
from millrace.runtime.programs import Programs
from millrace.runtime.resources import TeamResources
from millrace.runtime.retention import Kept, Retention
from millrace.runtime.schedules import Schedules
from millrace.runtime.services import Services
from millrace.runtime.use_cases import UseCases
from millrace.storage.blobs import FolderBlobs
from millrace.storage.incomplete import Incomplete
from millrace.storage.scenarios import Scenarios
from millrace.storage.sqlite import SqliteStore
from millrace.storage.users import Users
from millrace.vault.keyring import Vault, load_or_create_master
from millrace.work.embedded import CONCURRENCY, EmbeddedQueue


class Runtime(UseCases):
    """The wired whole: the use cases, and what they run on. Made by `build`."""

    def __init__(
        self,
        *,
        named: Named,
        address: str,
        idle: timedelta,
        absolute: timedelta,
        store: SqliteStore,
        clock: Clock,
        catalog: Catalog,
        keys: TeamKeys,
        services: Services,
        programs: Programs,
        executions: Executions,
        queue: EmbeddedQueue,
        resources: TeamResources,
        schedules: Schedules,
        retention: Retention,
    ) -> None:
        super().__init__(
            store,
            services=services,
            executions=executions,
            named=named,
            resources=resources,
            keys=keys,
            address=address,
            idle=idle,
            absolute=absolute,
        )
        self.store = store
        self.clock = clock
        self.catalog = catalog
        self.keys = keys
        self.services = services
        self.live = services.live
        self.programs = programs
        self.executions = executions
        self.queue = queue
        self.resources = resources
        self.schedules = schedules
        self.retention = retention

    async def start(self, *, is_scheduling: bool = True) -> None:
        """Take over what a dead process left, then begin to work.

        Args:
            is_scheduling: False for a command that runs one scenario and ends.
        """
        await self.queue.start()
        if is_scheduling:
            self.schedules.start()
            self.retention.start()

    async def close(self) -> None:
        """Stop working, then let go of everything."""
        await self.retention.close()
        await self.schedules.close()
        await self.queue.close()
        await self.services.http.aclose()
        await self.store.close()


async def build(
    data: Path,
    *,
    clock: Clock | None = None,
    master: bytes | None = None,
    catalog: Catalog | None = None,
    guard: Guard | None = None,
    limits: Limits | None = None,
    address: str = "http://127.0.0.1:8080",
    idle: timedelta = timedelta(minutes=20),
    absolute: timedelta = timedelta(hours=12),
    executions: int = CONCURRENCY,
    kept: Kept | None = None,
) -> Runtime:
    """Open an installation.

    Args:
        data: Its folder: the database, the files, the master key. Made when missing.
        clock: What time it is.
        master: The master key; None: from a file in `data`, made with the first start.
        catalog: The apps; None: those that are installed.
        guard: Which addresses modules may call.
        limits: What one execution may use.
        address: Where people reach the installation.
        idle: A session nobody uses ends after this time.
        absolute: Any session ends after this time.
        executions: How many are under way at a time.
        kept: How long things are kept.
    """
    data.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - at the start nobody waits
    clock = clock or SystemClock()
    catalog = catalog or load_catalog()
    guard = guard or Guard()
    store = SqliteStore.open(data / "millrace.db")
    blobs = FolderBlobs(data / "files")
    keys = TeamKeys(
        Vault(master or load_or_create_master(data / "master.key")),
        lambda team_id, sealer: TeamFiles(blobs, team_id, sealer),
    )
    await keys.load(Users(store))
    http = HttpClient(guard=guard, clock=clock)
    named = Named(store)
    resources = TeamResources(named, keys, catalog, http)
    services = Services(
        store=store,
        clock=clock,
        catalog=catalog,
        http=http,
        dialer=GuardedDialer(guard.at_ports(MAIL_PORTS)),
        vault=keys,
        resources=resources,
    )
    scenarios = Scenarios(store)
    programs = Programs(scenarios, catalog)
    carrier = Executions(services, programs, Incomplete(store), limits=limits)
    queue = EmbeddedQueue(store, clock, carrier.carry_out, concurrency=executions)
    carrier.queue = queue
    schedules = Schedules(scenarios, store, clock=clock, programs=programs, executions=carrier)
    return Runtime(
        named=named,
        address=address,
        idle=idle,
        absolute=absolute,
        store=store,
        clock=clock,
        catalog=catalog,
        keys=keys,
        services=services,
        programs=programs,
        executions=carrier,
        queue=queue,
        resources=resources,
        schedules=schedules,
        retention=Retention(store, store, clock=clock, kept=kept or Kept()),
    )
