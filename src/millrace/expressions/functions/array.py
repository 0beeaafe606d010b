"""Arrays: every function gives a new array and leaves the given one as it is."""

# ruff: noqa: D103  (the text of each function stands in its decorator)

from __future__ import annotations

from typing import Any

from millrace.errors import ExpressionError
from millrace.expressions.compare import equal
from millrace.expressions.convert import (
    integer_of,
    is_empty,
    json_text,
    kind_of,
    list_of,
    number_or_none,
    text_of,
)
from millrace.expressions.functions.spec import FunctionTable
from millrace.expressions.paths import follow, item_at, read_path
from millrace.expressions.scope import MAX_STEPS, Scope, check_size
from millrace.expressions.values import Binary

array = FunctionTable("array")

_SAMPLE = 'parseJSON("[{""name"":""Bob"",""age"":22},{""name"":""Tim"",""age"":23}]")'


def _items(value: Any, scope: Scope) -> list[Any]:
    items = list_of(value)
    scope.spend(len(items))
    return items


@array.add(
    "first(array)",
    "The first item; null for an empty array.",
    ("first([5; 6])", 5),
    ("first(emptyarray)", None),
    extra="M",
)
def first(scope: Scope, value: Any) -> Any:
    items = list_of(value)
    return items[0] if items else None


@array.add(
    "last(array)",
    "The last item; null for an empty array.",
    ("last([5; 6])", 6),
    extra="M",
)
def last(scope: Scope, value: Any) -> Any:
    items = list_of(value)
    return items[-1] if items else None


@array.add(
    "arrayElement(array; position)",
    "The item at a position, counted from 1; null outside.",
    ("arrayElement([10; 20; 30]; 2)", 20),
    ("arrayElement([10; 20; 30]; 5)", None),
    extra="F",
)
def array_element(scope: Scope, value: Any, position: Any) -> Any:
    number = integer_of(position)
    return item_at(list_of(value), number) if number > 0 else None


@array.add(
    "join(array; separator)",
    "The items as one text, with the separator between them.",
    ('join(["a"; "b"]; ", ")', "a, b"),
    ("join([1; null; 3]; -)", "1--3"),
)
def join(scope: Scope, value: Any, separator: Any) -> str:
    between = text_of(separator, scope)
    texts = [text_of(item, scope) for item in _items(value, scope)]
    check_size(sum(map(len, texts)) + len(between) * len(texts))
    return between.join(texts)


@array.add("reverse(array)", "The items in reverse order.", ("reverse([1; 2])", [2, 1]), extra="M")
def reverse(scope: Scope, value: Any) -> list[Any]:
    return _items(value, scope)[::-1]


@array.add(
    "shuffle(array)",
    "The items in random order. A replay of the operation gives the same order.",
    ("length(shuffle([1; 2; 3]))", 3),
    extra="M",
    pure=False,
)
def shuffle(scope: Scope, value: Any) -> list[Any]:
    items = list(_items(value, scope))
    for index in range(len(items) - 1, 0, -1):
        other = int.from_bytes(scope.draw()[:8], "big") % (index + 1)
        items[index], items[other] = items[other], items[index]
    return items


@array.add(
    "keys(value)",
    "The keys of a collection; for an array its positions, counted from 0.",
    ('keys(parseJSON("{""a"":1,""b"":2}"))', ["a", "b"]),
    ("keys([7; 8])", ["0", "1"]),
)
def keys(scope: Scope, value: Any) -> list[str]:
    if isinstance(value, dict):
        scope.spend(len(value))
        return list(value)
    return [str(index) for index in range(len(_items(value, scope)))]


@array.add(
    "add(array; value; ...)",
    "The array with the values at its end.",
    ("add([1]; 2; 3)", [1, 2, 3]),
    ("add(null; 1)", [1]),
)
def add(scope: Scope, value: Any, *values: Any) -> list[Any]:
    return [*_items(value, scope), *values]


@array.add(
    "remove(array; value; ...)",
    "The array without the values. Works on arrays of texts and numbers.",
    ('remove(["a"; "b"; "a"]; "a")', ["b"]),
    ('remove([1; 2]; "2")', [1]),
)
def remove(scope: Scope, value: Any, *values: Any) -> list[Any]:
    unwanted = {identity(item, scope) for item in values}
    return [item for item in _items(value, scope) if identity(item, scope) not in unwanted]


@array.add(
    "merge(array; ...)",
    "One array with the items of all.",
    ("merge([1]; [2; 3])", [1, 2, 3]),
)
def merge(scope: Scope, *values: Any) -> list[Any]:
    merged: list[Any] = []
    for value in values:
        merged.extend(_items(value, scope))
    return merged


@array.add(
    "slice(array; start; [end])",
    "The items from start up to, but not with, end. Positions count from 0, negative ones from "
    "the end.",
    ("slice([1; 2; 3; 4]; 1; 3)", [2, 3]),
    ("slice([1; 2; 3]; -1)", [3]),
)
def slice_(scope: Scope, value: Any, start: Any, end: Any = None) -> list[Any]:
    items = _items(value, scope)
    return items[integer_of(start) : None if is_empty(end) else integer_of(end)]


@array.add(
    "map(array; key; [filterKey]; [filterValues])",
    "The value of one key of every collection in the array, null where it is missing. With a "
    "filter, only of those whose filter key has one of the values: one, several with commas, or an "
    "array.",
    (f'map({_SAMPLE}; "name")', ["Bob", "Tim"]),
    (f'map({_SAMPLE}; "name"; "age"; "23")', ["Tim"]),
    (f'map({_SAMPLE}; "name"; "age"; "22,23")', ["Bob", "Tim"]),
    paths=True,
)
def map_(
    scope: Scope, value: Any, key: Any, filter_key: Any = None, wanted: Any = None
) -> list[Any]:
    path = read_path(key, scope)
    items = _items(value if isinstance(value, list) or is_empty(value) else [value], scope)
    if is_empty(filter_key):
        found = [follow(item, path) for item in items]
    else:
        accepted = _accepted(wanted, scope)
        test = read_path(filter_key, scope)
        found = [
            follow(item, path) for item in items if text_of(follow(item, test), scope) in accepted
        ]
    return found


def _accepted(wanted: Any, scope: Scope) -> set[str]:
    if isinstance(wanted, list):
        return {text_of(item, scope) for item in wanted}
    text = text_of(wanted, scope)
    return {text, *(part.strip() for part in text.split(","))}


_ORDERS = ("asc", "desc", "asc ci", "desc ci")


@array.add(
    "sort(array; [order]; [key])",
    "The items in order: `asc` (A to Z, then a to z), `desc`, `asc ci` or `desc ci` (case "
    "insensitive). "
    "The key, which may be a path, is for arrays of collections; it may stand alone as second "
    "argument.",
    ("sort([3; 1; 2])", [1, 2, 3]),
    ('sort(["b"; "a"; "B"])', ["B", "a", "b"]),
    ('sort(["b"; "a"; "C"]; asc ci)', ["a", "b", "C"]),
    (f"map(sort({_SAMPLE}; desc; name); name)", ["Tim", "Bob"]),
    (f"map(sort({_SAMPLE}; name); name)", ["Bob", "Tim"]),
    paths=True,
)
def sort(scope: Scope, value: Any, order: Any = None, key: Any = None) -> list[Any]:
    items = _items(value, scope)
    word = "asc" if is_empty(order) else text_of(order, scope)
    if word.lower() not in _ORDERS:
        if not is_empty(key):
            raise ExpressionError("the order must be asc, desc, asc ci or desc ci")
        word, key = "asc", order
    word = word.lower()
    fold = word.endswith("ci")
    path = None if is_empty(key) else read_path(key, scope)
    ranked = [
        (_rank(item if path is None else follow(item, path), fold, scope), item) for item in items
    ]
    ranked.sort(key=_by_rank, reverse=word.startswith("desc"))
    return [item for _, item in ranked]


def _rank(value: Any, fold: bool, scope: Scope) -> tuple[int, Any]:
    """Numbers before texts before nothing, so that any two values have an order."""
    if is_empty(value):
        return 2, 0
    if not isinstance(value, str):
        number = number_or_none(value)
        if number is not None:
            return 0, number
    text = text_of(value, scope)
    return 1, text.lower() if fold else text


def _by_rank(pair: tuple[tuple[int, Any], Any]) -> tuple[int, Any]:
    return pair[0]


@array.add(
    "flatten(array; [depth])",
    "One array of the items of all arrays inside, down to the depth, or all the way.",
    ("flatten([1; [2; [3]]])", [1, 2, 3]),
    ("flatten([1; [2; [3]]]; 1)", [1, 2, [3]]),
)
def flatten(scope: Scope, value: Any, depth: Any = None) -> list[Any]:
    levels = MAX_STEPS if is_empty(depth) else integer_of(depth)
    flat: list[Any] = []
    pending = [(iter(_items(value, scope)), levels)]
    while pending:
        items, left = pending[-1]
        for item in items:
            if isinstance(item, list) and left > 0:
                pending.append((iter(_items(item, scope)), left - 1))
                break
            flat.append(item)
        else:
            pending.pop()
    return flat


def identity(value: Any, scope: Scope) -> tuple[str, str]:
    """What makes two items of an array the same: what they hold, else their text."""
    if isinstance(value, Binary):
        return "file", value.id
    if isinstance(value, bytes):
        return "bytes", value.hex()
    if isinstance(value, (dict, list)):
        scope.spend(len(value))
        return "json", json_text(_ordered(value, scope), scope)
    return "text", text_of(value, scope)


def _ordered(value: Any, scope: Scope) -> Any:
    if isinstance(value, dict):
        scope.spend(len(value))
        return {key: _ordered(value[key], scope) for key in sorted(value)}
    if isinstance(value, list):
        scope.spend(len(value))
        return [_ordered(item, scope) for item in value]
    return value


@array.add(
    "distinct(array; [key])",
    "The array without repetitions; the first of equal items stays. With a key, which may be a "
    "path, "
    "collections are equal when they have the same value there.",
    ("distinct([1; 2; 1])", [1, 2]),
    (f"length(distinct(merge({_SAMPLE}; {_SAMPLE}); name))", 2),
    paths=True,
)
def distinct(scope: Scope, value: Any, key: Any = None) -> list[Any]:
    path = None if is_empty(key) else read_path(key, scope)
    seen: set[tuple[str, str]] = set()
    found: list[Any] = []
    for item in _items(value, scope):
        mark = identity(item if path is None else follow(item, path), scope)
        if mark not in seen:
            seen.add(mark)
            found.append(item)
    return found


@array.add(
    "deduplicate(array)",
    "The array without repetitions.",
    ('deduplicate(["a"; "b"; "a"])', ["a", "b"]),
)
def deduplicate(scope: Scope, value: Any) -> list[Any]:
    return distinct(scope, value)


@array.add(
    "toCollection(array; key; value)",
    "A collection made of an array of collections: one field of each is the key, another the "
    "value.",
    (f"toCollection({_SAMPLE}; name; age)", {"Bob": 22, "Tim": 23}),
    extra="M",
    paths=True,
)
def to_collection(scope: Scope, value: Any, key: Any, field: Any) -> dict[str, Any]:
    key_path, value_path = read_path(key, scope), read_path(field, scope)
    made: dict[str, Any] = {}
    for item in _items(value, scope):
        name = follow(item, key_path)
        if not is_empty(name):
            made[text_of(name, scope)] = follow(item, value_path)
    return made


@array.add(
    "toArray(collection)",
    "An array of `{key, value}`, one for each key of the collection.",
    ('toArray(parseJSON("{""a"":1}"))', [{"key": "a", "value": 1}]),
    extra="M",
)
def to_array(scope: Scope, value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if is_empty(value):
        return []
    if not isinstance(value, dict):
        raise ExpressionError(f"a collection is expected, not {kind_of(value)}")
    scope.spend(len(value))
    return [{"key": key, "value": item} for key, item in value.items()]


@array.add(
    "arrayDifference(array1; array2; [mode])",
    "`classic`: the items of the first array that the second does not have. `symmetric`: the "
    "items that "
    "only one of them has.",
    ("arrayDifference([1; 2; 3; 4; 5]; [3; 4; 5; 6; 7])", [1, 2]),
    ("arrayDifference([1; 2; 3; 4; 5]; [3; 4; 5; 6; 7]; symmetric)", [1, 2, 6, 7]),
    extra="F",
)
def array_difference(scope: Scope, one: Any, other: Any, mode: Any = None) -> list[Any]:
    word = "classic" if is_empty(mode) else text_of(mode, scope).lower()
    if word not in ("classic", "symmetric"):
        raise ExpressionError("the mode must be classic or symmetric")
    left = [(identity(item, scope), item) for item in _items(one, scope)]
    right = [(identity(item, scope), item) for item in _items(other, scope)]
    in_right = {mark for mark, _ in right}
    found = [item for mark, item in left if mark not in in_right]
    if word == "symmetric":
        in_left = {mark for mark, _ in left}
        found.extend(item for mark, item in right if mark not in in_left)
    return found


@array.add(
    "contains(value; sought)",
    "Whether a text holds a text (case sensitive), or an array holds a value.",
    ('contains("Hello World"; Bye)', False),
    ('contains("Hello World"; Hello)', True),
    ("contains([1; 2]; 2)", True),
)
def contains(scope: Scope, value: Any, sought: Any) -> bool:
    if isinstance(value, list):
        return any(equal(item, sought, scope) for item in _items(value, scope))
    if isinstance(value, dict):
        raise ExpressionError("a text or an array is expected, not a collection")
    return text_of(sought, scope) in text_of(value, scope)


@array.add(
    "length(value)",
    "The number of items of an array, of characters of a text, or of bytes of a file.",
    ("length(hello)", 5),
    ("length([1; 2])", 2),
    ("length(null)", 0),
)
def length(scope: Scope, value: Any) -> int:
    if isinstance(value, (list, dict, str, bytes)):
        return len(value)
    if isinstance(value, Binary):
        return value.size_bytes
    return len(text_of(value, scope))
