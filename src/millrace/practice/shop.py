"""The shop's state and rules. No HTTP here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

Record = dict[str, Any]


class Refused(Exception):
    """The shop says no.

    Args:
        status: The HTTP status that says it best.
        message: Why.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Shop:
    """Products, customers and orders; counts what really happened, for tests that kill things."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Back to the beginning."""
        self.products: dict[str, Record] = {product["sku"]: product for product in _products()}
        self.customers: dict[str, Record] = {customer["id"]: customer for customer in _customers()}
        self.orders: dict[str, Record] = {}
        self.effects: Counter[str] = Counter()
        """Changes that were made, by idempotency key or, without one, by the order's reference."""
        self.requests: Counter[str] = Counter()
        """Changes that were asked for, by the same keys."""
        self._answers: dict[str, tuple[str, Record]] = {}

    def once(self, key: str, fingerprint: str, effect: Callable[[], Record]) -> tuple[Record, bool]:
        """Make a change, or give the answer that the same key got before.

        Returns:
            The answer, and True when it is a repetition and nothing was changed.

        Raises:
            Refused: the rules say no (which is not remembered: a later try may pass), or the key
                was used for a different request.
        """
        if key:
            self.requests[key] += 1
            if key in self._answers:
                known, answer = self._answers[key]
                if known != fingerprint:
                    raise Refused(422, "this Idempotency-Key was used for a different request")
                return answer, True
        answer = effect()
        if key:
            self._answers[key] = (fingerprint, answer)
            self.effects[key] += 1
        return answer, False

    def product(self, sku: str) -> Record:
        """One product; Refused when there is none."""
        if sku not in self.products:
            raise Refused(404, "there is no such product")
        return self.products[sku]

    def add_product(self, given: Record) -> Record:
        """A new product."""
        sku = _text(given, "sku")
        if sku in self.products:
            raise Refused(409, "a product with this sku exists")
        product = {
            "sku": sku,
            "name": _text(given, "name"),
            "price": _number(given, "price", 0),
            "stock": int(_number(given, "stock", 0)),
        }
        self.products[sku] = product
        return product

    def change_product(self, sku: str, given: Record) -> Record:
        """Change the given fields."""
        product = self.product(sku)
        for name in given:
            if name == "name":
                product[name] = _text(given, name)
            elif name in ("price", "stock"):
                product[name] = _number(given, name, 0)
            elif name != "sku":
                raise Refused(422, f"a product has no {name[:40]}")
        return product

    def reserve(self, sku: str, quantity: Any) -> Record:
        """Take something from the stock."""
        product = self.product(sku)
        if isinstance(quantity, str) and quantity.isdigit():
            quantity = int(quantity)
        if not isinstance(quantity, int) or isinstance(quantity, bool) or quantity < 1:
            raise Refused(422, "qty must be a whole number of 1 or more")
        if product["stock"] < quantity:
            raise Refused(409, f"only {product['stock']} in stock")
        product["stock"] -= quantity
        return {"sku": sku, "reserved": quantity, "stock": product["stock"]}

    def add_order(self, given: Record) -> Record:
        """A new order; the stock is not touched."""
        lines = given.get("lines")
        if not isinstance(lines, list) or not lines:
            raise Refused(422, "lines must be an array with at least one line")
        total = 0.0
        for line in lines:
            if not isinstance(line, dict):
                raise Refused(422, "a line must be an object with sku and qty")
            total += self.product(_text(line, "sku"))["price"] * _number(line, "qty", 1)
        order = {
            "id": str(1001 + len(self.orders)),
            "reference": given.get("reference"),
            "customer": given.get("customer"),
            "lines": lines,
            "total": round(total, 2),
            "status": "new",
        }
        self.orders[order["id"]] = order
        return order

    def order(self, id_: str) -> Record:
        """One order; Refused when there is none."""
        if id_ not in self.orders:
            raise Refused(404, "there is no such order")
        return self.orders[id_]

    def add_customer(self, given: Record) -> Record:
        """A new customer."""
        email = _text(given, "email")
        if any(known["email"] == email for known in self.customers.values()):
            raise Refused(409, "a customer with this e-mail address exists")
        customer = {
            "id": str(101 + len(self.customers)),
            "name": _text(given, "name"),
            "email": email,
        }
        self.customers[customer["id"]] = customer
        return customer

    def customer(self, id_: str) -> Record:
        """One customer; Refused when there is none."""
        if id_ not in self.customers:
            raise Refused(404, "there is no such customer")
        return self.customers[id_]


def _text(given: Record, name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value.strip():
        raise Refused(422, f"{name} must be a text")
    return value


def _number(given: Record, name: str, default: float) -> float:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise Refused(422, f"{name} must be a number of 0 or more")
    return value


def _products() -> list[Record]:
    goods = [
        ("lamp", "Desk lamp", 39.9, 25),
        ("chair", "Oak chair", 129.0, 8),
        ("table", "Oak table", 349.0, 2),
        ("mug", "Blue mug", 7.5, 140),
        ("clock", "Wall clock", 24.0, 0),
    ]
    goods += [(f"book-{number:02d}", f"Notebook {number}", 4.2, 50) for number in range(1, 21)]
    return [
        {"sku": sku, "name": name, "price": price, "stock": stock}
        for sku, name, price, stock in goods
    ]


def _customers() -> list[Record]:
    people = [("Ada Novak", "ada"), ("Bruno Kral", "bruno"), ("Cora Lind", "cora")]
    return [
        {"id": str(101 + number), "name": name, "email": f"{local}@example.com"}
        for number, (name, local) in enumerate(people)
    ]
