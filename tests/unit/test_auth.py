"""Who may come in: the file of users, and how guessing is slowed down."""

import asyncio
import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse

from webapp import accounts as accounts_module
from webapp.accounts import Accounts, account_line
from webapp.auth import BasicAuth
from webapp.checking import GUESSES, MOST_OF_AN_ADDRESS, SECONDS_A_GUESS, PasswordChecks
from webapp.errors import BadAccounts
from webapp.passwords import hashed, is_user, read_line

# Hashes that take a millisecond: what is tested is not the cost.
CHEAP = {"LOG_N": 4, "P": 1}


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CHEAP.items():
        monkeypatch.setattr(f"webapp.passwords.{name}", value)
    monkeypatch.setattr(accounts_module, "LOOK_AGAIN_S", 0.0)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    path.write_text(f"# people\n\n{account_line('anna', 'red')}\n{account_line('ben', 'ü:1')}\n")
    path.chmod(0o600)
    return path


def visit(app: BasicAuth, address: str = "10.0.0.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://server")


def guarded(accounts: Accounts, clock: Callable[[], float]) -> BasicAuth:
    return BasicAuth(PlainTextResponse("inside"), PasswordChecks(accounts, clock))


def test_a_hash_says_how_it_was_made_and_fits_one_password() -> None:
    line = account_line("anna", "red")
    user, password = read_line(line)
    assert (user, line) == ("anna", f"anna:{password}")
    assert line.startswith("anna:$scrypt$ln=4,r=8,p=1$")
    assert password.matches("red")
    assert not password.matches("Red")
    assert not password.like_it().matches("red")
    assert str(hashed("red")) != str(hashed("red"))
    assert hashed("e\u0301").matches("\xe9")  # the same letter from two keyboards


def test_a_line_of_another_program_is_read() -> None:
    # The example in passlib's documentation.
    made = "aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E"
    line = f"me:$scrypt$ln=16,r=8,p=1${made}"
    _, password = read_line(line)
    assert password.matches("password")
    assert not password.matches("passwort")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("anna:red", "line 1: it is not user:$scrypt$"),
        ("anna", "line 1: it is not"),
        ("# none", "names nobody"),
        ("", "names nobody"),
        ("a:$scrypt$ln=30,r=8,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA", "out of range"),
        ("a:$scrypt$ln=0,r=8,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA", "out of range"),
        ("a:$scrypt$ln=16,r=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA", "out of range"),
        ("a:$scrypt$ln=4,r=8,p=1$AAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA", "not valid base64"),
        (" a:$scrypt$ln=4,r=8,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA", "a space"),
    ],
)
def test_a_bad_file_is_one_clear_error(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "users"
    path.write_text(line)
    with pytest.raises(BadAccounts, match=str(path)) as error:
        Accounts(None, path)
    assert said in str(error.value)
    assert "red" not in str(error.value)


def test_a_user_twice_and_a_missing_file_are_told(file: Path, tmp_path: Path) -> None:
    file.write_text(file.read_text() + account_line("anna", "blue"))
    with pytest.raises(BadAccounts, match="line 5: the user anna is there twice"):
        Accounts(None, file)
    with pytest.raises(BadAccounts, match="No such file"):
        Accounts(None, tmp_path / "nowhere")
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(BadAccounts, match="not text in UTF-8"):
        Accounts(None, file)


def test_a_file_that_others_can_read_is_told(file: Path) -> None:
    said: list[str] = []
    Accounts(None, file, said.append)
    assert said == []
    file.chmod(0o640)
    Accounts(None, file, said.append)
    assert said == [f"others on this machine can read {file}; run: chmod 600 {file}"]


def test_file_and_settings_admit_together(file: Path) -> None:
    both = Accounts("me:pass:word", file)
    for right in ("me:pass:word", "anna:red", "ben:ü:1"):
        assert both.admits(right)
    for wrong in ("me:pass", "me:", "anna:", "anna:blue", "ben:red", "carl:red", ":", "anna"):
        assert not both.admits(wrong)
    assert not Accounts("me:x").admits("anna:red")


def test_an_unknown_user_costs_as_much_as_a_known_one(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = Accounts(None, file)
    made = []
    scrypt = hashlib.scrypt

    def watched(password: bytes, **how: Any) -> bytes:
        made.append((how["n"], how["r"], how["p"]))
        return scrypt(password, **how)

    monkeypatch.setattr("hashlib.scrypt", watched)
    accounts.admits("anna:wrong")
    accounts.admits("nobody:wrong")
    assert made == [(16, 8, 1)] * 2
    monkeypatch.setattr("webapp.passwords.LOG_N", 9)
    file.write_text(file.read_text() + account_line("carl", "blue"))
    accounts.refresh()
    for user in ("carl", "nobody", "anna"):
        made.clear()
        accounts.admits(f"{user}:wrong")
        assert made == [(16, 8, 1), (512, 8, 1)], user
    for right in ("carl:blue", "anna:red"):
        assert accounts.admits(right)


def test_the_file_is_read_again_when_it_changes(file: Path) -> None:
    said: list[str] = []
    accounts = Accounts(None, file, said.append)
    file.write_text(account_line("carl", "blue"))
    accounts.refresh()
    assert accounts.admits("carl:blue")
    assert not accounts.admits("anna:red")
    assert (said, accounts.version) == ([f"{file} was read again"], 2)
    file.write_text("nonsense")
    accounts.refresh()
    accounts.refresh()
    assert "line 1: it is not" in said[1]
    assert "stay as they were" in said[1]
    file.unlink()
    accounts.refresh()
    assert "No such file" in said[2]
    assert (len(said), accounts.admits("carl:blue")) == (3, True)


@pytest.mark.parametrize("name", ["", " ", "a:b", "a\nb", "a\0", " a", "a\x7f"])
def test_names_that_no_header_can_carry(name: str) -> None:
    assert not is_user(name)
    assert is_user("Ännchen van Tharau")


def counting(accounts: Accounts) -> list[str]:
    """Every check that is made of accounts from now on."""
    checked: list[str] = []
    admits = accounts.admits

    def watched(given: str) -> bool:
        checked.append(given)
        return admits(given)

    accounts.admits = watched  # type: ignore[method-assign]
    return checked


def test_a_right_password_is_checked_once_for_a_page_of_pictures(file: Path, clock: Clock) -> None:
    accounts = Accounts(None, file)
    checked = counting(accounts)
    app = guarded(accounts, clock)

    async def page() -> list[int]:
        async with visit(app) as client:
            answers = [client.get(f"/{n}", auth=("anna", "red")) for n in range(16)]
            return [answer.status_code for answer in await asyncio.gather(*answers)]

    assert asyncio.run(page()) == [200] * 16
    assert checked == ["anna:red"]
    clock.now += 3600
    assert asyncio.run(page()) == [200] * 16
    assert len(checked) == 2


def test_who_is_removed_is_out(file: Path, clock: Clock) -> None:
    app = guarded(Accounts(None, file), clock)

    async def visits() -> list[int]:
        async with visit(app) as client:
            before = await client.get("/", auth=("anna", "red"))
            file.write_text(account_line("ben", "blue"))
            after = await client.get("/", auth=("anna", "red"))
            return [before.status_code, after.status_code]

    assert asyncio.run(visits()) == [200, 401]


def test_guessing_is_slowed_down_for_that_address_alone(file: Path, clock: Clock) -> None:
    app = guarded(Accounts("me:secret", file), clock)

    async def scenario() -> None:
        async with visit(app, "10.0.0.1") as guesser, visit(app, "10.0.0.2") as friend:
            assert (await guesser.get("/", auth=("anna", "red"))).status_code == 200
            for n in range(GUESSES):
                assert (await guesser.get("/", auth=("me", f"{n}"))).status_code == 401
            late = await guesser.get("/", auth=("me", "secret"))
            assert (late.status_code, int(late.headers["retry-after"])) == (429, SECONDS_A_GUESS)
            assert "wrong passwords" in late.text
            # Known before, from the same address; and anybody from another one.
            assert (await guesser.get("/", auth=("anna", "red"))).status_code == 200
            assert (await friend.get("/", auth=("me", "secret"))).status_code == 200
            # Repeating a wrong password guesses nothing, and no password is no guess.
            assert (await guesser.get("/", auth=("me", "0"))).status_code == 401
            assert (await guesser.get("/")).status_code == 401
            clock.now += 2 * SECONDS_A_GUESS + 1
            assert (await guesser.get("/", auth=("me", "secret"))).status_code == 200

    asyncio.run(scenario())


def test_who_presses_on_learns_nothing_more(file: Path, clock: Clock) -> None:
    app = guarded(Accounts(None, file), clock)

    async def scenario() -> None:
        async with visit(app) as guesser, visit(app, "10.0.0.2") as friend:
            assert (await guesser.get("/", auth=("anna", "red"))).status_code == 200
            answers = []
            for n in range(150):
                answers.append((await guesser.get("/", auth=("me", f"{n}"))).status_code)
            assert answers == [401] * GUESSES + [429] * (150 - GUESSES)
            assert (await guesser.get("/", auth=("anna", "red"))).status_code == 429
            assert (await friend.get("/", auth=("anna", "red"))).status_code == 200

    asyncio.run(scenario())


def test_thirty_people_of_one_address_come_in_at_once(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "users"
    path.write_text("\n".join(account_line(f"user{n}", f"{n}") for n in range(30)))
    app = guarded(Accounts(None, path), clock)

    async def everybody() -> list[int]:
        async with visit(app) as client:
            asked = [client.get("/", auth=(f"user{n}", f"{n}")) for n in range(30)]
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    assert asyncio.run(everybody()) == [200] * 30


def test_guesses_sent_all_at_once_are_no_more_than_others(file: Path, clock: Clock) -> None:
    accounts = Accounts(None, file)
    others_turn = threading.Event()
    checked, admits = [], accounts.admits

    def slow(given: str) -> bool:
        checked.append(given)
        if given != "anna:red":
            others_turn.wait(30)
        return admits(given)

    accounts.admits = slow  # type: ignore[method-assign]
    app = guarded(accounts, clock)

    async def guess() -> list[int]:
        async with visit(app) as guesser, visit(app, "10.0.0.2") as other:
            passwords = [*(f"wrong{n}" for n in range(40)), "red"]
            guesses = [
                asyncio.create_task(guesser.get("/", auth=("anna", word))) for word in passwords
            ]
            while not checked:
                await asyncio.sleep(0)
            # Who comes from elsewhere does not wait for any of them.
            assert (await other.get("/", auth=("anna", "red"))).status_code == 200
            assert checked == ["anna:wrong0", "anna:red"]
            others_turn.set()
            return [told.status_code for told in await asyncio.gather(*guesses)]

    assert asyncio.run(guess()) == [401] * GUESSES + [429] * (41 - GUESSES)
    assert len(checked) == GUESSES + 1


def test_few_of_one_address_wait(file: Path, clock: Clock) -> None:
    async def flood() -> list[int]:
        async with visit(guarded(Accounts(None, file), clock)) as client:
            asked = [client.get("/", auth=("anna", f"{n}")) for n in range(MOST_OF_AN_ADDRESS + 20)]
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    assert asyncio.run(flood()).count(503) == 20


def test_checking_stays_off_the_event_loop(file: Path, clock: Clock) -> None:
    accounts = Accounts(None, file)
    threads: set[str] = set()
    admits = accounts.admits

    def watched(given: str) -> bool:
        threads.add(threading.current_thread().name)
        return admits(given)

    accounts.admits = watched  # type: ignore[method-assign]
    app = guarded(accounts, clock)

    async def ask() -> int:
        async with visit(app) as client:
            return (await client.get("/", auth=("anna", "red"))).status_code

    assert asyncio.run(ask()) == 200
    assert all(name.startswith("passwords") for name in threads)
    assert len(threads) == 1


def test_the_real_cost_is_what_is_recommended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.passwords.LOG_N", 15)
    monkeypatch.setattr("webapp.passwords.P", 3)
    assert hashed("red").matches("red")
