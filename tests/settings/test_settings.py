from __future__ import annotations

from pathlib import Path

import pytest

from millrace.errors import SettingsInvalid
from millrace.settings import (
    known_settings,
    read_settings,
    shown,
)


def test_without_any_variable_the_defaults_hold() -> None:
    settings = read_settings({})
    assert settings.data == Path(".millrace")
    assert settings.address == "http://127.0.0.1:8080"
    assert not settings.is_secure


def test_values_of_groups_lists_and_numbers_are_read() -> None:
    settings = read_settings(
        {
            "MILLRACE_PORT": "9000",
            "MILLRACE_LOG__FORMAT": "json",
            "MILLRACE_EGRESS__ALLOW": "10.0.0.0/8, 127.0.0.1/32:8025",
            "MILLRACE_APPS": "/a,/b",
            "MILLRACE_HISTORY__DETAILS_DAYS": "14",
            "PATH": "/bin",
        }
    )
    assert settings.port == 9000
    assert settings.log.format == "json"
    assert settings.egress.allow == ("10.0.0.0/8", "127.0.0.1/32:8025")
    assert settings.apps == (Path("/a"), Path("/b"))
    assert settings.history.details_days == 14


@pytest.mark.parametrize("name", ["MILLRACE_PROT", "millrace_prot", "MILLRACE_LOG_FORMAT"])
def test_an_unknown_name_is_refused_with_the_nearest(name: str) -> None:
    with pytest.raises(SettingsInvalid, match="did you mean MILLRACE_"):
        read_settings({name: "1"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MILLRACE_PORT", "many"),
        ("MILLRACE_PORT", "70000"),
        ("MILLRACE_LOG__LEVEL", "loud"),
        ("MILLRACE_PUBLIC_URL", "example.com"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsInvalid, match=name):
        read_settings({name: value})


def test_the_names_that_tests_use_are_left_alone() -> None:
    assert read_settings({"MILLRACE_TEST_POSTGRES_URL": "x"}) == read_settings({})


def test_an_option_of_the_command_line_wins() -> None:
    settings = read_settings({"MILLRACE_PORT": "9000"}, port=7, host=None)
    assert (settings.port, settings.host) == (7, "127.0.0.1")


def test_a_secret_is_shown_nowhere() -> None:
    settings = read_settings({"MILLRACE_MASTER_KEY": "hunter2hunter2"})
    assert settings.master_key is not None
    assert settings.master_key.reveal() == "hunter2hunter2"
    assert "hunter2" not in f"{settings!r} {settings.master_key} {shown(settings)}"


def test_every_setting_has_a_description_and_can_be_set_to_its_default() -> None:
    for setting in known_settings():
        assert setting.description.endswith((".", ")")), setting.name
    values = {name: value for name, value in shown(read_settings({})) if value}
    assert read_settings(values) == read_settings({})


def test_an_address_with_tls_makes_it_secure() -> None:
    settings = read_settings({"MILLRACE_PUBLIC_URL": "https://flows.example.com/"})
    assert settings.address == "https://flows.example.com"
    assert settings.is_secure
