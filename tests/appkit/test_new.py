"""A newcomer's first minutes: a new app, its check, its cases, a trial that becomes a case."""

import pytest

from millrace.appkit.cases import differences, run_case
from millrace.appkit.catalog import Catalog
from millrace.appkit.check import check_app
from millrace.appkit.exchange import ExchangeService
from millrace.appkit.manifest import Exchange
from millrace.appkit.new import create_app
from millrace.appkit.trial import record_case, try_module, without_secrets
from millrace.errors import ManifestInvalid

SECRET = "s3cr/et=value"


@pytest.fixture
def acme(tmp_path):
    create_app(tmp_path, "acme-crm")
    return Catalog.load(tmp_path).app("acme-crm")


def service(**response):
    return ExchangeService([Exchange(request={}, response=response)])


async def test_a_new_app_is_tested_from_the_first_minute(acme):
    assert check_app(acme).findings == ()
    assert check_app(acme).level == "tested"
    for spec in acme.modules():
        for case in spec.cases():
            assert differences(case, await run_case(spec, case)) == []


@pytest.mark.parametrize("name", ["Acme", "acme_crm", "-acme", "acme--crm", "../acme", "", "7up"])
def test_a_name_that_cannot_be_one_is_refused(name, tmp_path):
    with pytest.raises(ManifestInvalid, match="small letters"):
        create_app(tmp_path, name)


def test_an_app_is_never_written_over(tmp_path):
    create_app(tmp_path, "acme")

    with pytest.raises(ManifestInvalid, match="there already"):
        create_app(tmp_path, "acme")


async def test_a_trial_becomes_a_case_that_passes_and_holds_no_secret(acme):
    spec = acme.module("get-item")
    echo = {"id": "9", "title": "Cup", "you_sent": SECRET, "encoded": "s3cr%2Fet%3Dvalue"}

    trial = await try_module(
        spec,
        {"id": "9"},
        fields={"key": SECRET},
        name="a cup",
        transport=service(json=echo, headers={"X-Request-Id": "1"}),
    )
    path = record_case(spec, trial.case)

    assert trial.bundles == [echo]
    assert SECRET not in path.read_text()
    assert "s3cr" not in path.read_text()
    case = spec.cases()[-1]
    assert case.case == "a cup"
    assert differences(case, await run_case(spec, case)) == []


async def test_a_trial_that_is_refused_becomes_a_case_of_refusal(acme):
    spec = acme.module("get-item")

    trial = await try_module(
        spec,
        {"id": "9"},
        fields={"key": "k-12345"},
        transport=service(status=404, json={"message": "No such item"}),
    )
    record_case(spec, trial.case)

    assert trial.error.type == "DataError"
    case = spec.cases()[-1]
    assert differences(case, await run_case(spec, case)) == []


async def test_what_the_engine_carries_out_cannot_be_tried():
    with pytest.raises(ManifestInvalid, match="nothing to try"):
        await try_module(Catalog.load().module("flow:router"), {})


def test_tokens_are_hidden_wherever_they_stand():
    assert without_secrets({"access_token": "abc", "n": [{"refresh_token": "x"}]}, []) == {
        "access_token": "hidden",
        "n": [{"refresh_token": "hidden"}],
    }
