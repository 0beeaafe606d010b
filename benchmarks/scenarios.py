"""The workloads W1, W2 and W3 as scenario files."""

W1 = """
millrace: 1
name: W1
description: A webhook, three values set, an answer.
schedule: instant
flow:
  - {id: 1, module: "webhooks:receive", webhook: w1}
  - id: 2
    module: tools:set-variables
    parameters:
      variables:
        - {name: name, value: "{{1.name}}"}
        - {name: double, value: "{{1.qty * 2}}"}
        - {name: loud, value: "{{upper(1.name)}}"}
  - {id: 3, module: "webhooks:respond", parameters: {status: 200, body: "{{2.loud}} {{2.double}}"}}
"""

W2 = """
millrace: 1
name: W2
description: A webhook accepted at once, then five transformers and a filter.
schedule: instant
flow:
  - {id: 1, module: "webhooks:receive", webhook: w2}
  - {id: 2, module: "tools:set-variable", parameters: {name: double, value: "{{1.qty * 2}}"}}
  - {id: 3, module: "json:parse", parameters: {json: "{{1.text}}"}}
  - id: 4
    module: tools:compose
    filter: "{{1.qty > 0}}"
    parameters: {value: "{{upper(1.name)}} {{3.x}} {{2.double}}"}
  - id: 5
    module: json:transform
    parameters: {object: {said: "{{4.value}}", double: "{{2.double}}"}}
  - {id: 6, module: "tools:compose", parameters: {value: "{{5.json}}"}}
"""

W3 = """
millrace: 1
name: W3
description: One execution that iterates {items} items through three modules.
flow:
  - {{id: 1, module: "flow:repeater", parameters: {{start: 1, repeats: {items}, step: 1}}}}
  - {{id: 2, module: "tools:set-variable", parameters: {{name: double, value: "{{{{1.i * 2}}}}"}}}}
  - {{id: 3, module: "tools:compose", parameters: {{value: "item {{{{1.i}}}} {{{{2.double}}}}"}}}}
  - {{id: 4, module: "tools:compose", parameters: {{value: "{{{{upper(3.value)}}}}"}}}}
"""

BODY = '{"name": "Ada Lovelace", "qty": 3, "text": "{\\"x\\": 1, \\"y\\": [1, 2, 3]}"}'
