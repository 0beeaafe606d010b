"""The connections, data stores and structures that the modules of one execution work with."""

from __future__ import annotations

from typing import Any

from millrace.appkit.call import Call
from millrace.engine.events import Failure
from millrace.errors import ModuleError
from millrace.runtime.program import Operator, Program
from millrace.runtime.services import CallContext, Connected, Resources
from millrace.runtime.transaction import RecordsView, StoreInfo, Transaction


class Bindings:
    """What the modules of one execution work with, opened once and bound to each call."""

    __slots__ = ("_connections", "_context", "_data_stores", "_structures", "_transaction")

    def __init__(self, context: CallContext, transaction: Transaction) -> None:
        self._context = context
        self._transaction = transaction
        self._connections: dict[str, Connected] = {}
        self._data_stores: dict[str, StoreInfo] = {}
        self._structures: dict[str, dict[str, Any] | None] = {}

    async def open(self, resources: Resources, program: Program, *, team_id: str) -> Failure | None:
        """Initialisation: every connection is opened and every store found before anything runs.

        Answers why it could not be done, when it could not.
        """
        for node in program.plan.nodes:
            operator = program.operators[node.index]
            if operator is None:
                continue
            for word, name in operator.resources.items():
                try:
                    if word in ("connection", "key") and name not in self._connections:
                        self._connections[name] = await resources.connection(
                            team_id, name, used_by=operator.spec.name
                        )
                    elif word == "data_store" and name not in self._data_stores:
                        self._data_stores[name] = await resources.data_store(team_id, name)
                    elif word == "structure" and name not in self._structures:
                        self._structures[name] = await resources.structure(team_id, name)
                except ModuleError as error:
                    message = f"{node.label}: {error.message}"
                    return Failure("AccountValidationError", message, error.detail, module=node.id)
        return None

    def bind(self, call: Call, operator: Operator, *, now_ms: int) -> None:
        """Give a call what its module names."""
        for word, name in operator.resources.items():
            if word == "data_store":
                info = self._data_stores[name]
                self._transaction.save()
                call.records = RecordsView(self._transaction, info, now_ms)
            elif word in ("connection", "key"):
                connected = self._connections[name]
                call.connection = connected.fields
                call.http = self._context.bind(connected.signer)
            elif word == "structure":
                call.parameters = {**call.parameters, "structure": self._structures[name]}
