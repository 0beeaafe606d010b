from __future__ import annotations

from typing import Any

DEEP = """
millrace: 1
flow:
  - {id: 1, module: "trial:watch", parameters: {total: 2}}
  - id: r
    module: flow:router
    routes:
      - flow:
          - id: s
            module: flow:router
            routes:
              - flow:
                  - id: 2
                    module: trial:act
                    parameters: {value: "{{1.n}}", fails: [1]}
                    on_error:
                      - id: e
                        module: trial:act
                        parameters: {value: "{{2.error.type}}", fails: [RuntimeError]}
                        on_error: [{id: f, module: "flow:ignore"}]
                      - {id: g, module: "flow:resume", parameters: {value: never}}
                  - {id: 3, module: "trial:act", parameters: {value: "{{2.value}}"}}
              - {flow: [{id: 4, module: "trial:act", parameters: {value: "{{1.n}}"}}]}
      - {flow: [{id: 5, module: "trial:act", parameters: {value: "{{1.n}}"}}]}
"""


async def test_T25_error_routes_deep_inside_routes(installation: Any) -> None:
    ran = await installation.run(DEEP)
    assert ran.status == "success"
    assert ran.log == ["1", "2", "e", "4", "5", "2", "3", "4", "5"]
    assert (ran.given("3"), ran.given("4"), ran.given("5")) == ([2], [1, 2], [1, 2])


VARIABLES = """
millrace: 1
settings: {cycles: 2}
flow:
  - {id: 0, module: "trial:search", parameters: {bundles: [{}]}}
  - {id: 1, module: "tools:get-variable", parameters: {name: x}}
  - {id: 2, module: "trial:act", parameters: {value: "{{1.x}}"}}
  - id: r
    module: flow:router
    routes:
      - {flow: [{id: 3, module: "tools:set-variable", parameters: {name: x, value: 7, scope: %s}}]}
      - flow:
          - {id: 4, module: "tools:get-variable", parameters: {name: x}}
          - {id: 5, module: "trial:act", parameters: {value: "{{4.x}}"}}
"""


async def test_T26_a_variable_set_in_one_route_is_read_in_the_next(installation: Any) -> None:
    assert (await installation.run(VARIABLES % "roundtrip")).given("5") == [7, 7]


async def test_T26_a_variable_of_a_cycle_is_forgotten_in_the_next(installation: Any) -> None:
    assert (await installation.run(VARIABLES % "roundtrip")).given("2") == [None, None]
    assert (await installation.run(VARIABLES % "execution")).given("2") == [None, 7]
