"""Where settings come from: the environment, `.env`, files; names that are none; one spelling of each."""

from pathlib import Path

import pytest

from keyportal.options import OPTIONS
from keyportal.options.reading import configure
from keyportal.process_environment import forget_environment
from tests.settings_reader import base, read_settings

pytestmark = [pytest.mark.once, pytest.mark.finding("H12")]

PLANTED = "pLaNtEd7"


def env_file(folder: Path, text: str | bytes) -> str:
    """Write a `.env` and give its place."""
    file = folder / "some.env"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(file)


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    text = "# a comment\n\nKEYPORTAL_MAX_KEYS=7\nexport KEYPORTAL_BRAND='abc'\r\n  KEYPORTAL_LEEWAY=3 \n"
    file = env_file(tmp_path, text)
    reading = read_settings(KEYPORTAL_ENV_FILE=file, KEYPORTAL_MAX_KEYS="9")
    assert reading.lines == []
    assert [reading.option(f"KEYPORTAL_{name}") for name in ("MAX_KEYS", "BRAND", "LEEWAY", "REVEAL")] == [
        9,
        "abc",
        3,
        "reauth",
    ]


def test_quotes_of_the_file_go_and_a_dollar_in_it_stays(tmp_path: Path) -> None:
    key = f"${PLANTED} with 'quotes' and # and = and more than fifty characters"
    file = env_file(tmp_path, f'SECRET_KEY="{key}"\nPGPASSWORD=\'${{HOME}} "x"\'\n')
    reading = read_settings("SECRET_KEY", KEYPORTAL_ENV_FILE=file)
    assert (reading.option("SECRET_KEY"), reading.option("PGPASSWORD")) == (key, '${HOME} "x"')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"SECRET_KEY={PLANTED}\n{PLANTED}\n", "line 2"),
        (f"SECRET_KEY = {PLANTED}\n", "line 1"),
        (f"SECRET_KEY={PLANTED}\x0b{PLANTED}\n", "line 2"),
        (f"SECRET-KEY={PLANTED}\n", "line 1"),
        (PLANTED.encode() + b"=\xff", "UTF-8"),
        (f"A={PLANTED * 9000}", "longer"),
    ],
)
def test_a_file_that_is_none_is_refused_by_its_line(text: str | bytes, said: str, tmp_path: Path) -> None:
    """django-environ would log the line."""
    reading = read_settings(KEYPORTAL_ENV_FILE=env_file(tmp_path, text))
    assert reading.values is None
    (line,) = reading.lines
    assert line.startswith("keyportal: KEYPORTAL_ENV_FILE must ")
    assert said in line
    assert PLANTED not in line


def test_a_file_that_is_not_there_or_not_one_is_refused(tmp_path: Path) -> None:
    for path in (str(tmp_path / PLANTED), str(tmp_path), "", "/dev/null"):
        reading = read_settings(KEYPORTAL_ENV_FILE=path)
        assert reading.values is None
        assert len(reading.lines) == 1
        assert PLANTED not in reading.lines[0]


def test_every_mistake_is_told_at_once() -> None:
    reading = read_settings("SECRET_KEY", KEYPORTAL_MAX_KEYS=PLANTED, KEYPORTAL_LOCAL="maybe", KEYPORTAL_BRANDS="x")
    assert [line.split()[1] for line in reading.lines] == [
        "KEYPORTAL_LOCAL",
        "SECRET_KEY",
        "KEYPORTAL_MAX_KEYS",
        "KEYPORTAL_BRANDS",
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("KEYPORTAL_TRUSTED_PROXY", "KEYPORTAL_TRUSTED_PROXIES"),
        ("KEYPORTAL_RATELIMIT", "KEYPORTAL_RATE_LIMIT"),
        ("keyportal_url", "KEYPORTAL_URL"),
        ("KEYPORTAL_SEALING_KEY_FILE", "KEYPORTAL_SEALING_KEYS_FILE"),
        ("KEYPORTAL_LIMIT_ASKING", "KEYPORTAL_LIMIT_SERVICE"),  # its former name, and no other limit
        ("KEYPORTAL_QQQ", ""),
    ],
)
def test_a_name_that_is_no_setting_is_told_of(name: str, meant: str, tmp_path: Path) -> None:
    for changes in ({name: PLANTED}, {"KEYPORTAL_ENV_FILE": env_file(tmp_path, f"{name}={PLANTED}\n")}):
        values = read_settings(**changes).values
        assert values is not None
        (sentence,) = values["KEYPORTAL_STRAY_NAMES"]
        assert sentence.startswith(f"{name} is not a setting of the portal")
        assert sentence.endswith(f"you probably meant {meant}" if meant else "portal")


def test_names_of_others_are_not_told_of(tmp_path: Path) -> None:
    names = [
        "KEYPORTAL_SERVICE_HOST",
        "KEYPORTAL_PORT_8000_TCP_ADDR",
        "KEYPORTAL_WEB_SERVICE_PORT_HTTP",
        "KEYPORTAL_PORT",
    ]
    names += ["KEYPORTAL_ALLOW_HTTP", "KEYPORTAL_CONFIG_DIR", "KEYPORTAL_KEY", "KEYPORTAL_PORTAL", "KEYPORTAL_TIMEOUT"]
    names += ["KEYPORTAL_TEST_WITHOUT", "SECRET", "DATABASE", "PGSSLROOTCERT", "PATH"]
    values = read_settings(**dict.fromkeys(names, "x")).values
    assert values is not None
    assert values["KEYPORTAL_STRAY_NAMES"] == ()


def test_other_names_in_the_file_are_told_of_when_a_setting_was_meant(tmp_path: Path) -> None:
    file = env_file(tmp_path, "DATABSE_URL=sqlite:///x\nTZ=UTC\nPGSSLROOTCERT=/x\n")
    values = read_settings(KEYPORTAL_ENV_FILE=file).values
    assert values is not None
    (misspelt,) = values["KEYPORTAL_STRAY_NAMES"]
    assert misspelt == "DATABSE_URL is not a setting of the portal; you probably meant DATABASE_URL"


def test_what_the_file_has_for_libpq_gets_into_the_environment_and_no_setting_does(tmp_path: Path) -> None:
    text = "".join(f"{name}={value}\n" for name, value in base().items() if name != "KEYPORTAL_ENV_FILE")
    file = env_file(tmp_path, f"{text}PGSSLROOTCERT=/srv/ca.pem\nHTTP_AUTHORIZATION=Bearer x\nTZ=UTC\n")
    process = {"KEYPORTAL_ENV_FILE": file, "TZ": "Europe/Berlin"}
    configure(process)
    assert process == {"KEYPORTAL_ENV_FILE": file, "TZ": "Europe/Berlin", "PGSSLROOTCERT": "/srv/ca.pem"}


def test_no_secret_and_no_header_stays_in_the_environment() -> None:
    names = {name for option in OPTIONS if option.secret for name in (option.name, f"{option.name}_FILE")}
    odd = {"KEYPORTAL_SEALING_KEY", "keyportal_signing_keys", "HTTP_AUTHORIZATION", "http_x_forwarded_for"}
    process = dict.fromkeys(names | odd | {"PATH", "PGOPTIONS"}, "x")
    forget_environment(process)
    assert process.keys() == {"PATH", "PGOPTIONS"}


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("HTTPS://Keys.Example.COM/", "https://keys.example.com"),
        ("https://keys.example.com:443", "https://keys.example.com"),
        ("https://keys.example.com:0443/", "https://keys.example.com"),
        ("http://localhost:80", "http://localhost"),
        ("https://Keys.Example.com.", "https://keys.example.com"),
        ("https://keys.example.com.:443//", "https://keys.example.com"),
        ("https://[2001:DB8::0:1]", "https://[2001:db8::1]"),
        ("https://keys.example.com:8443/", "https://keys.example.com:8443"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
@pytest.mark.finding("H37")
def test_the_portals_address_has_one_spelling(given: str, taken: str) -> None:
    values = read_settings(KEYPORTAL_URL=given).values
    assert values is not None
    assert values["KEYPORTAL_URL"] == values["KEYPORTAL_AUDIENCE"] == taken
    host = taken.partition("://")[2]
    assert values["KEYPORTAL_HOST"] == values["SECURE_SSL_HOST"] == host
    assert values["CSRF_TRUSTED_ORIGINS"] == [taken]
    assert values["ALLOWED_HOSTS"] == [host if host[-1] == "]" else host.rpartition(":")[0] or host]


def test_further_hosts_have_one_spelling_too() -> None:
    assert read_settings(KEYPORTAL_HOSTS="Keys.Internal., [::1]").option("KEYPORTAL_HOSTS") == (
        "keys.internal",
        "[::1]",
    )
    for wrong in ("keys.internal:8000", "https://keys.internal", "schlüssel.example", "a..b", "10.1"):
        assert read_settings(KEYPORTAL_HOSTS=wrong).values is None


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("https://keys.example.com/portal", "it has a path"),
        ("https://keys.example.com/pLaNtEd7/", "it has a path"),
        ("https://user:pLaNtEd7@keys.example.com", "takes no user or password"),
        ("https://user:a/pLaNtEd7?b#c@keys.example.com", "takes no user or password"),
        ("https://keys.example.com?pLaNtEd7", "a ? or a #"),
        ("https://keys.example.com/?", "a ? or a #"),
        ("https://keys.example.com/#", "a ? or a #"),
        ("https://keys.example.com/pLaNtEd7#x", "a ? or a #"),
        ("https://", "it has no host"),
        ("https://keys.example.com:99999", "its port"),
        ("https://keys.example.com:0", "its port"),
        ("https://keys.example.com:", "its port"),
        ("https://keys.example.com:pLaNtEd7", "its port"),
        ("https://ke ys.example.com", "its host"),
        ("https://keys..example.com", "its host"),
        ("https://keys_example.com", "its host"),
        ("https://127.1", "its host"),
        ("https://schlüssel.example.com", "xn--"),
        ("https://[::1", "its host"),
        ("https://[fe80::1%eth0]", "its host"),
        ("https://[pLaNtEd7]", "its host"),
        ("ftp://keys.example.com", "does not begin with https://"),
        ("keys.example.com", "does not begin with https://"),
        ("//keys.example.com", "does not begin with https://"),
    ],
)
@pytest.mark.finding("H37")
def test_an_address_of_the_portal_that_is_none_is_refused_with_the_reason(address: str, reason: str) -> None:
    reading = read_settings(KEYPORTAL_URL=address)
    assert reading.values is None
    what, _, why = reading.lines[0].partition("; ")
    assert "KEYPORTAL_URL must be the portal's address alone, without a path" in what
    assert reason in why
    assert PLANTED not in reading.lines[0]


@pytest.mark.parametrize("address", ["keys@example.com", "Keys <keys@example.com>", '"Keys, all" <keys@localhost>'])
def test_a_sender_is_an_address_with_or_without_a_name(address: str) -> None:
    values = read_settings(KEYPORTAL_MAIL_FROM=f"{address}\n").values
    assert values is not None
    assert values["DEFAULT_FROM_EMAIL"] == values["SERVER_EMAIL"] == address


@pytest.mark.parametrize("address", ["keys", "keys@", "a@b.example, c@d.example", "Keys keys@example.com", "<>", "@b"])
def test_a_sender_that_is_none_is_refused(address: str) -> None:
    assert read_settings(KEYPORTAL_MAIL_FROM=address).values is None
