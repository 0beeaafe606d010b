"""Everything a user can do, put together: one attribute for each noun."""

from __future__ import annotations

from datetime import timedelta

from millrace.runtime.activity import Activity
from millrace.runtime.checking import Checker
from millrace.runtime.connections import Connections
from millrace.runtime.datastores import DataStores
from millrace.runtime.executions import Executions
from millrace.runtime.history import History
from millrace.runtime.incomplete import Incomplete
from millrace.runtime.keys import TeamKeys
from millrace.runtime.named import Named
from millrace.runtime.resources import TeamResources
from millrace.runtime.scenarios import Scenarios
from millrace.runtime.services import Services
from millrace.runtime.users import Users
from millrace.runtime.uses import Uses
from millrace.runtime.webhooks import Webhooks
from millrace.storage.database import Database
from millrace.storage.scenarios import Scenarios as ScenarioRows


class UseCases:
    """The use cases over one installation; every function takes ``by``, the actor.

    Args:
        database: Where everything is.
        services: What executions need of the installation.
        executions: Carries scenarios out.
        named: What the teams own.
        resources: Opens it.
        keys: Makes the keys of new teams.
        address: Where people reach the installation; may be set again when a port is known.
        idle: A session nobody uses ends after this time.
        absolute: Any session ends after this time.
    """

    def __init__(
        self,
        database: Database,
        *,
        services: Services,
        executions: Executions,
        named: Named,
        resources: TeamResources,
        keys: TeamKeys,
        address: str = "http://127.0.0.1:8080",
        idle: timedelta = timedelta(minutes=20),
        absolute: timedelta = timedelta(hours=12),
    ) -> None:
        self.address = address
        self.named = named
        catalog, clock = services.catalog, services.clock
        uses = Uses(ScenarioRows(database))
        self.activity = Activity(database, clock=clock)
        self.checker = Checker(catalog, named)
        self.users = Users(
            database,
            clock=clock,
            activity=self.activity,
            new_key=keys.new,
            idle=idle,
            absolute=absolute,
        )
        self.webhooks = Webhooks(
            database,
            named,
            clock=clock,
            activity=self.activity,
            uses=uses,
            address=lambda: self.address,
        )
        self.scenarios = Scenarios(
            database,
            catalog=catalog,
            checker=self.checker,
            clock=clock,
            executions=executions,
            webhooks=self.webhooks,
            activity=self.activity,
        )
        self.connections = Connections(
            named,
            resources=resources,
            services=services,
            activity=self.activity,
            uses=uses,
        )
        self.data_stores = DataStores(
            named,
            resources=resources,
            clock=clock,
            vault=services.vault,
            activity=self.activity,
            uses=uses,
        )
        self.history = History(
            database,
            store=services.store,
            clock=clock,
            vault=services.vault,
            executions=executions,
            activity=self.activity,
        )
        self.incomplete = Incomplete(database, executions=executions, activity=self.activity)
