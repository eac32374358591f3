"""Every setting of the table, with odd values: it comes out as it was meant, or it is refused in a line without it."""

import os
import re
from pathlib import Path

import pytest

from keyportal.options import OPTIONS
from keyportal.options.kinds import MAX_LENGTH
from keyportal.options.option import Option
from tests.settings_reader import Reading, base, read_settings, sample

pytestmark = [pytest.mark.sweep, pytest.mark.once, pytest.mark.finding("H12")]

PLANTED = "pLaNtEd7"
URLISH = f"{PLANTED}/a?b#c@d:e%f%41&g+h=i $j [k]"
FREE_TEXT = ("SECRET_KEY", "PGPASSWORD", "PGOPTIONS")
"""Those that take whatever can be printed."""
CONTROLS = ("\x01", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\udcff")
NO_NUMBERS = ("1e3", "0x10", "١٢", "1_0", "+5", "-5", "5,0", "nan", "inf", "５", "1.5.1", "5 5", "5s", "true")
NO_FLAGS = ("2", "y", "t", "ok", "wahr", "ＴＲＵＥ", "True False", "0.0", "none")

every_option = pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
files_too = pytest.mark.parametrize(
    ("option", "by_file"),
    [(option, by_file) for option in OPTIONS for by_file in (False, True) if not (by_file and option.only_process)],
    ids=lambda value: value.name if isinstance(value, Option) else "file" if value else "environment",
)


def read(option: Option, value: str, file: Path | None = None) -> Reading:
    """Read the settings with a value of an option, perhaps from a file."""
    if file is None:
        return read_settings(**{option.name: value})
    file.write_bytes(value.encode(errors="surrogateescape"))
    return read_settings(option.name, **{f"{option.name}_FILE": str(file)})


def assert_refused(reading: Reading, option: Option, *, by_file: bool = False, hidden: str = PLANTED) -> None:
    """Assert one line, which names the setting and shows nothing of the value nor of any other secret."""
    assert reading.values is None
    (line,) = reading.lines
    assert line.startswith(f"keyportal: {option.name}")
    assert f"keyportal.{option.id})" in line or option.name == "KEYPORTAL_ENV_FILE"
    assert f"{option.name}_FILE" in line or not by_file
    assert hidden not in line
    for secret in base().values():
        assert secret not in line


@files_too
def test_blanks_and_line_ends_around_a_value_go(option: Option, by_file: bool, tmp_path: Path) -> None:
    if option.name == "KEYPORTAL_ENV_FILE":
        wanted = read_settings()
        given = read_settings(KEYPORTAL_ENV_FILE=f" \t{base()['KEYPORTAL_ENV_FILE']}\r\n")
    else:
        wanted = read(option, sample(option))
        given = read(option, f" \t {sample(option)} \r\n\n", tmp_path / "value" if by_file else None)
    assert given.option(option.name) == wanted.option(option.name)
    assert given.lines == []


@files_too
def test_a_dollar_begins_no_variable(option: Option, by_file: bool, tmp_path: Path) -> None:
    """django-environ would look for the variable, and tell of the one that it does not find."""
    for value in (f"${PLANTED}", "$SECRET_KEY", f"${PLANTED}${{SECRET_KEY}}"):
        reading = read(option, value, tmp_path / "value" if by_file else None)
        if reading.values is None:
            assert_refused(reading, option, by_file=by_file, hidden=value)
            continue
        taken = reading.option(option.name)
        assert taken in (value, (value,)) or str(taken).endswith(f"/{value}")
        assert reading.lines == []


@files_too
def test_characters_of_addresses_are_taken_as_they_are_or_refused(
    option: Option, by_file: bool, tmp_path: Path
) -> None:
    reading = read(option, URLISH, tmp_path / "value" if by_file else None)
    if option.name in FREE_TEXT:
        assert reading.option(option.name) == URLISH
    elif reading.values is None:
        assert_refused(reading, option, by_file=by_file)
    else:
        assert URLISH in str(reading.option(option.name))
    assert PLANTED not in "".join(reading.lines)


@files_too
def test_control_characters_are_refused(option: Option, by_file: bool, tmp_path: Path) -> None:
    good = sample(option)
    for character in (*CONTROLS, "\x00") if by_file else CONTROLS:
        value = f"{good[:1]}{character}{PLANTED}{good[1:]}"
        reading = read(option, value, tmp_path / "value" if by_file else None)
        assert_refused(reading, option, by_file=by_file)


@files_too
def test_a_line_end_inside_a_value_is_refused_where_it_separates_nothing(
    option: Option, by_file: bool, tmp_path: Path
) -> None:
    for character in ("\n", "\r", "\t"):
        value = f"{sample(option)}{character}{PLANTED}"
        reading = read(option, value, tmp_path / "value" if by_file else None)
        if option.kind.lines and reading.values is not None:
            assert character not in "".join(map(str, reading.option(option.name))) or "JWK" in option.kind.name
        else:
            assert_refused(reading, option, by_file=by_file)


@every_option
def test_an_empty_value_is_none_where_none_is_the_default_and_refused_elsewhere(option: Option) -> None:
    for value in ("", " \n"):
        reading = read(option, value)
        if option.default == "":
            assert reading.option(option.name) == option.kind.nothing
        else:
            assert_refused(reading, option)


@files_too
def test_an_overlong_value_is_refused(option: Option, by_file: bool, tmp_path: Path) -> None:
    value = PLANTED + "7" * option.kind.max_length
    assert_refused(read(option, value, tmp_path / "value" if by_file else None), option, by_file=by_file)


@files_too
def test_a_value_of_the_wrong_type_is_refused(option: Option, by_file: bool, tmp_path: Path) -> None:
    is_text = option.kind.name in ("text", "hosts", "list", "path", "key ring", "JWK Set")
    wrong = [] if is_text else [PLANTED]
    wrong += NO_NUMBERS if sample(option).isdigit() else []
    wrong += NO_FLAGS if option.kind.name == "true or false" else []
    for value in wrong:
        reading = read(option, value, tmp_path / "value" if by_file else None)
        assert_refused(reading, option, by_file=by_file)


@pytest.mark.parametrize("option", [option for option in OPTIONS if sample(option).isdigit()], ids=lambda o: o.name)
def test_a_number_out_of_its_bounds_is_refused_and_on_them_taken(option: Option) -> None:
    least, most = (float(bound) for bound in re.findall(r"[\d.]+", option.kind.name)[-2:])
    for bound, beyond in ((least, least - 1), (most, most + 1)):
        assert read(option, f"{bound:.12g}").option(option.name) == bound
        assert_refused(read(option, f"{beyond:.12g}"), option)


@pytest.mark.parametrize("option", [o for o in OPTIONS if o.kind.name == "true or false"], ids=lambda o: o.name)
def test_true_and_false_have_eight_spellings(option: Option) -> None:
    for value, meant in {"true": True, "1": True, "YES": True, "On": True}.items():
        assert read(option, value).option(option.name) is meant
    for value, meant in {"False": False, "0": False, "no": False, "OFF": False}.items():
        assert read(option, value).option(option.name) is meant


@pytest.mark.parametrize("option", [o for o in OPTIONS if o.kind.name in ("list", "networks")], ids=lambda o: o.name)
def test_entries_of_a_list_stand_between_commas_or_in_lines(option: Option, tmp_path: Path) -> None:
    one, other = ("192.0.2.1", "2001:db8::/32") if option.kind.name == "networks" else ("first key", "second+key/=")
    for value in (f"{one},{other}", f" {one} ,\t{other} , ", f"{one}\n{other}\n", f"{one},\r\n{other},\r\n"):
        assert read(option, value).option(option.name) == (one, other)
        assert read(option, value, tmp_path / "value").option(option.name) == (one, other)


def test_a_wrong_entry_of_a_list_is_named_by_its_place() -> None:
    reading = read_settings(KEYPORTAL_TRUSTED_PROXIES=f"10.0.0.0/8, {PLANTED}")
    assert "KEYPORTAL_TRUSTED_PROXIES is wrong in entry 2, which must be a network" in reading.lines[0]
    assert PLANTED not in reading.lines[0]
    assert read_settings(KEYPORTAL_METRICS_NETWORKS="10.0.0.1/8").values is None


@pytest.mark.parametrize("option", [option for option in OPTIONS if not option.only_process], ids=lambda o: o.name)
def test_files_that_hold_no_value_are_refused_by_name(option: Option, tmp_path: Path) -> None:
    (tmp_path / f"{PLANTED}-empty").write_text("")
    (tmp_path / f"{PLANTED}-blank").write_text("\n \r\n")
    (tmp_path / f"{PLANTED}-binary").write_bytes(PLANTED.encode() + bytes(range(128, 256)))
    (tmp_path / f"{PLANTED}-long").write_text(PLANTED * (MAX_LENGTH // 8 + 1))
    (tmp_path / f"{PLANTED}-folder").mkdir()
    paths = [
        *map(str, tmp_path.iterdir()),
        str(tmp_path / f"{PLANTED}-missing"),
        PLANTED * 600,
        "",
        "/dev/zero",
        "a\x1bb",
    ]
    for path in paths:
        reading = read_settings(option.name, **{f"{option.name}_FILE": path})
        assert_refused(reading, option, by_file=True)


def test_a_pipe_is_no_file() -> None:
    """Each worker reads the settings, and a pipe gives its content to the first only; an empty one would hang."""
    reading_end, writing_end = os.pipe()
    try:
        os.write(writing_end, b"json")
        os.close(writing_end)
        reading = read_settings(KEYPORTAL_LOG_FORMAT_FILE=f"/dev/fd/{reading_end}")
    finally:
        os.close(reading_end)
    assert reading.values is None


@pytest.mark.parametrize("option", [option for option in OPTIONS if not option.only_process], ids=lambda o: o.name)
def test_a_value_and_a_file_together_are_refused(option: Option, tmp_path: Path) -> None:
    (tmp_path / "value").write_text(sample(option))
    reading = read_settings(**{option.name: sample(option), f"{option.name}_FILE": str(tmp_path / "value")})
    assert_refused(reading, option, by_file=True)
    (tmp_path / ".env").write_text(f"{option.name}_FILE={tmp_path / 'value'}\n")
    reading = read_settings(**{option.name: sample(option), "KEYPORTAL_ENV_FILE": str(tmp_path / ".env")})
    assert_refused(reading, option, by_file=True)


def test_every_secret_is_called_one() -> None:
    """By their names: a new one that is forgotten here stays in every request's environ."""
    telling = ("SECRET", "_KEYS", "PASSWORD", "_URL", "_HEADERS")
    names = {option.name for option in OPTIONS if any(word in option.name for word in telling)}
    no_secrets = {"KEYPORTAL_URL", "KEYPORTAL_MAX_KEYS", "KEYPORTAL_PASSWORD_TOKENS", "KEYPORTAL_PASSWORD_LENGTH"}
    assert {option.name for option in OPTIONS if option.secret} == names - no_secrets
