"""Every example is run, against the practice service, and does what it says."""

import io
import zipfile
from email import message_from_bytes, policy
from pathlib import Path

import jsonschema
import pytest
import yaml

from millrace.appkit.cases import differences, run_case
from millrace.appkit.catalog import Catalog
from millrace.appkit.check import check_app
from millrace.scenario.check import check
from millrace.scenario.formats.native import read_native
from millrace.scenario.schema import json_schema

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted(path.stem for path in (ROOT / "examples/scenarios").glob("*.yaml"))
CATALOG = Catalog.load(ROOT / "examples/custom-app/todo")
CUSTOM = next(app for app in CATALOG.apps() if app.name == "todo")
ORDER = {"customer": "Ada", "lines": [{"sku": "lamp", "qty": 2}, {"sku": "chair", "qty": 500}]}


def letters(installation):
    """What arrived by mail so far, parsed."""
    inbox = installation.practice.mail.folder("INBOX")
    return [message_from_bytes(letter.raw, policy=policy.default) for letter in inbox.letters]


async def record_of(installation, store, key):
    """One record of a data store; of any key when None is given."""
    stores = await installation.runtime.data_stores.all(by=installation.owner)
    found = next(row for row in stores if row.name == store)
    records = await installation.runtime.data_stores.records(found.id, by=installation.owner)
    return next(record for record in records if key in (None, record.key))


@pytest.mark.parametrize("name", SCENARIOS)
def test_an_example_fits_the_published_schema(name):
    text = (ROOT / "examples/scenarios" / f"{name}.yaml").read_text(encoding="utf-8")
    jsonschema.validate(yaml.safe_load(text), json_schema())


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_is_wrong_with_an_example(name):
    scenario = read_native((ROOT / "examples/scenarios" / f"{name}.yaml").read_bytes())
    known = [module for app in CATALOG.apps() for module in app.module_names]
    problems = check(scenario, CATALOG.traits, names=known)
    assert [str(problem) for problem in problems if problem.severity == "error"] == []


def test_every_example_is_run_here():
    told = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in SCENARIOS if f'"{name}"' not in told] == []


async def test_the_first_scenario_writes_a_line(installation):
    given = await installation.outputs("first", customer="Eva")
    assert given == {"mail": "Dear Eva, you ordered 2 × lamp, 6 × mug."}


async def test_a_router_takes_the_fallback_for_what_fits_no_route(installation):
    given = await installation.outputs("router-with-fallback")
    assert given["decisions"] == [
        "40 EUR is paid",
        "9500 EUR needs two signatures",
        "CZK is paid by hand",
    ]


async def test_lines_are_summed_by_kind(installation):
    given = await installation.outputs("iterate-and-aggregate")
    assert given["sums"] == [{"kind": "furniture", "sum": 607}, {"kind": "kitchen", "sum": 30}]


async def test_the_report_holds_every_product_in_stock_once(installation):
    await installation.outputs("csv-report")
    (letter,) = letters(installation)
    (attachment,) = letter.iter_attachments()
    rows = attachment.get_content().splitlines()
    stock = installation.practice.shop.products.values()
    assert attachment.get_filename() == "stock.csv"
    assert rows[:2] == ['"SKU","Product","Stock"', '"lamp","Desk lamp","25"']
    assert len(rows) - 1 == sum(product["stock"] > 0 for product in stock) == 24


async def test_a_price_that_cannot_be_had_is_asked_for_again_then_replaced(installation):
    from millrace.practice.switches import Switch

    down = Switch(path="/shop/products/lamp", status=503, times=2)
    installation.practice.app.on.append(down)
    given = await installation.outputs("retry-and-resume")
    assert given["prices"].splitlines() == [
        "lamp: Desk lamp, 39.9",
        "does-not-exist: unknown, 0",
        "mug: Blue mug, 7.5",
    ]
    assert down.times == 0


async def test_the_counter_goes_on_where_it_was(installation):
    scenario = await installation.add("data-store-counter")
    counts = []
    for page in ("home", "home", "help"):
        outcome = await installation.run(scenario, page=page)
        counts.append(outcome.finish.outputs["count"])
    assert counts == [1, 2, 1]
    assert (await record_of(installation, "visits", "home")).data["count"] == 2


async def test_attachments_arrive_as_one_archive(installation):
    from email.message import EmailMessage

    message = EmailMessage()
    message["Subject"], message["From"] = "Papers", "ada@example.com"
    message.set_content("See below.")
    for name in ("a.txt", "b.txt"):
        message.add_attachment(f"content of {name}", filename=name)
    now = installation.runtime.clock.now()
    installation.practice.mail.deliver(message.as_bytes(), received_at=now)

    scenario = await installation.add("attachments-to-zip")
    outcome = await installation.run(scenario)

    assert outcome.finish.status == "success"
    sent = letters(installation)[-1]
    assert sent["Subject"] == "Files of: Papers"
    body, *_ = sent.iter_parts()
    assert "2 files from ada@example.com." in body.get_content()
    (attachment,) = sent.iter_attachments()
    archive = zipfile.ZipFile(io.BytesIO(attachment.get_content()))
    assert {name: archive.read(name).decode().strip() for name in archive.namelist()} == {
        "a.txt": "content of a.txt",
        "b.txt": "content of b.txt",
    }


async def test_a_failed_item_does_not_stop_the_others(installation):
    given = await installation.outputs("for-each-in-parallel")
    assert [price for price in given["prices"] if price is not None] == [39.9, 129.0, 7.5]
    assert [failure["index"] for failure in given["failed"]] == [3]


async def test_an_order_is_reserved_or_asked_for_and_kept(installation):
    scenario = await installation.add("web-shop-order")
    outcome = await installation.run(scenario, bundle=ORDER)

    assert outcome.finish.status == "success"
    assert installation.practice.shop.products["lamp"]["stock"] == 23
    assert installation.practice.shop.products["chair"]["stock"] == 8
    (letter,) = letters(installation)
    assert letter["Subject"] == "Oak chair is short"
    kept = (await record_of(installation, "orders", None)).data
    assert [(line["sku"], line["status"]) for line in kept["lines"]] == [
        ("lamp", "reserved"),
        ("chair", "asked for"),
    ]


def test_the_example_app_keeps_every_rule():
    report = check_app(CUSTOM, CATALOG)
    assert ([str(finding) for finding in report.findings], report.level) == ([], "tested")


@pytest.mark.parametrize(
    ("module", "case"),
    [
        pytest.param(spec, case, id=f"{spec.name}: {case.case}")
        for spec in CUSTOM.modules()
        for case in spec.cases()
    ],
)
async def test_a_case_of_the_example_app_gives_what_it_says(module, case):
    assert differences(case, await run_case(module, case)) == []
