"""A new app: a folder with one working module and a passing case, to be changed step by step."""

from __future__ import annotations

import re
from pathlib import Path

from millrace.errors import ManifestInvalid

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

_FILES = {
    "__init__.py": "",
    "app.yaml": """\
name: {name}
label: {label}
description: What {label} is, in one sentence.
colour: "#2563eb"
docs: https://example.com/api
owners: [you]
base:
  url: https://api.example.com/v1
errors:
  401: {{type: InvalidAccessTokenError, message: "{{{{body.message}}}}"}}
  403: {{type: InvalidAccessTokenError, message: "{{{{body.message}}}}"}}
  404: {{type: DataError, message: "{{{{body.message}}}}"}}
  429: {{type: RateLimitError, message: "{{{{body.message}}}}"}}
""",
    "connections/api_key.yaml": """\
label: API key
type: api_key
hosts: [api.example.com]
fields:
  - name: key
    type: password
    label: API key
    help: Where to find it.
    secret: true
    required: true
  - {{name: name, type: hidden, default: X-API-Key}}
test:
  request: {{url: /me}}
  label: "{{{{body.email}}}}"
""",
    "modules/get_item.yaml": """\
label: Get an item
description: Reads one item by its id.
kind: action
effect: read
connection: api_key
parameters:
  - {{name: id, type: text, label: Item, required: true}}
request: {{url: "/items/{{{{parameters.id}}}}"}}
response: {{bundle: "{{{{body}}}}"}}
interface:
  - {{name: id, type: text, label: Item}}
  - {{name: title, type: text, label: Title}}
sample: {{id: "7", title: Tea}}
""",
    "cases/get_item.yaml": """\
- case: reads the item
  parameters: {{id: "7"}}
  connection: {{key: k-1}}
  exchange:
    - request: {{method: GET, path: /v1/items/7, headers: {{X-API-Key: k-1}}}}
      response: {{json: {{id: "7", title: Tea}}}}
  bundles: [{{id: "7", title: Tea}}]
- case: an item that is gone
  parameters: {{id: "8"}}
  connection: {{key: k-1}}
  exchange:
    - request: {{path: /v1/items/8}}
      response: {{status: 404, json: {{message: No such item}}}}
  error: {{type: DataError, message: "{label}: No such item (404)"}}
""",
    "icon.svg": (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" '
        'stroke="#2563eb" stroke-width="2"><circle cx="12" cy="12" r="9"/></svg>\n'
    ),
    "README.md": """\
# {label}

How to get an API key, what the service limits, which traps are known. The list of modules is made
from the manifests.
""",
}


def create_app(parent: Path, name: str, *, label: str = "") -> Path:
    """Write the folder of a new app and give its path.

    Args:
        parent: Where the folder is made.
        name: Small letters, digits and hyphens: ``acme-crm``.
        label: For people; default from the name.

    Raises:
        ManifestInvalid: the name cannot be one, or the folder is there already.
    """
    if not _NAME.fullmatch(name) or len(name) > 60:
        raise ManifestInvalid(
            f"{name[:60]!r}: a name is small letters, digits and hyphens: acme-crm"
        )
    folder = parent / name.replace("-", "_")
    if folder.exists():
        raise ManifestInvalid(f"{folder} is there already")
    shown = label or name.replace("-", " ").capitalize()
    for file, text in _FILES.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(name=name, label=shown) if text else "", encoding="utf-8")
    return folder
