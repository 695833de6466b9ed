"""Tell the whole story against the running local stack, a line a request: `python -m local.demo`."""

import json
import secrets
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import Message
from http import HTTPStatus
from typing import Any, NamedTuple

from local.home import ROOT, Home, read
from local.process import Failure

ORIGIN = "https://app.example.com"


class Answer(NamedTuple):
    """What came back for a request."""

    method: str
    path: str
    status: int
    headers: Message
    raw: bytes

    @property
    def body(self) -> Any:  # noqa: ANN401 - JSON is what it is
        """The body as JSON; an empty object where there is none."""
        return json.loads(self.raw or b"{}")


class Story:
    """Requests to one address, and whether every answer was the expected one."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.surprises = 0

    def ask(self, method: str, path: str, body: Mapping[str, str] | None = None, **headers: str) -> Answer:
        """Send one request; a header's name is written with `_` for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            named["Content-Type"] = "application/json"
        request = urllib.request.Request(self.url + path, data, named, method=method)  # noqa: S310 - our own address
        try:
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
                return Answer(method, path, response.status, response.headers, response.read())
        except urllib.error.HTTPError as refusal:
            with refusal:
                return Answer(method, path, refusal.code, refusal.headers, refusal.read())

    def tell(self, what: str, answer: Answer, status: int, expected: str = "", *, so: bool = True) -> Answer:
        """Print one line; an answer of another status, without `expected` in it, or not `so`, is a surprise."""
        shown = answer.body.get("detail") or answer.body.get("message") or ""
        right = answer.status == status and expected in answer.raw.decode() and so
        self.surprises += not right
        wanted = "" if right else f"   <- expected {status} {expected}"
        print(
            f"{'ok' if right else '!!'}  {answer.status}  {answer.method:7} {answer.path:34} {what:44} {shown}{wanted}"
        )
        return answer


def sign_in(story: Story, what: str, username: str, password: str, expected: str) -> dict[str, str]:
    """Tell of a sign-in; return its tokens.

    Raises:
        Failure: Too many guesses keep the user out, and everything that follows.
    """
    answer = story.ask("POST", "/login", {"username": username, "password": password})
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        unlock = f".local/venv/bin/rolegate users unlock {username} --address 127.0.0.1"
        raise Failure(f"Too many guesses keep {username} out. Have them forgotten: {unlock}")
    return dict(story.tell(what, answer, HTTPStatus.OK, expected).body)


def tell_all(story: Story, passwords: Mapping[str, str]) -> None:
    """Tell every chapter."""
    name, password = f"demo-{secrets.token_hex(4)}", secrets.token_urlsafe(12)
    account = {"username": name, "password": password}
    story.tell("a new user", story.ask("POST", "/register", account), 201, '"role": "user"')
    user = sign_in(story, "signs in", name, password, '"refresh_token"')
    bearer = f"Bearer {user['access_token']}"
    story.tell("who am I", story.ask("GET", "/me", Authorization=bearer), 200, name)
    story.tell(
        "a user where a manager is asked for",
        story.ask("GET", "/manager", Authorization=bearer),
        403,
        '"detail":"manager access required"',
    )
    roles(story, passwords)
    renewed = story.tell("a new access token", refresh(story, user["refresh_token"]), 200, '"access_token"').body
    bearer = f"Bearer {renewed['access_token']}"
    story.tell("the new access token works", story.ask("GET", "/hello", Authorization=bearer), 200, f"Hello {name}!")
    forgeries(story, renewed)
    renewed = another_password(story, renewed, password)
    leave = {"refresh_token": renewed["refresh_token"]}
    story.tell("logs out", story.ask("POST", "/logout", leave), 200, '"message": "Logged out successfully"')
    story.tell("refreshes after that", refresh(story, renewed["refresh_token"]), 401, "Refresh token revoked")
    strangers(story, name)
    browser(story)


def roles(story: Story, passwords: Mapping[str, str]) -> None:
    """Let the manager and the admin through where a manager is asked for."""
    for username, role in (("bob", "manager"), ("carol", "admin")):
        signed_in = sign_in(story, f"{username} signs in", username, passwords[username], f'"role": "{role}"')
        token = signed_in["access_token"]
        answer = story.ask("GET", "/manager", Authorization=f"Bearer {token}")
        story.tell(f"{username}, {role}", answer, 200, f"Hello {username}! You have manager access.")


def refresh(story: Story, token: str) -> Answer:
    """Ask for new tokens."""
    return story.ask("POST", "/refresh", {"refresh_token": token})


def forgeries(story: Story, tokens: Mapping[str, str]) -> None:
    """Offer what only looks like a token."""
    access, seal = tokens["access_token"], tokens["access_token"].rpartition(".")[2]
    tampered = access.removesuffix(seal) + ("B" if seal[0] == "A" else "A") + seal[1:]
    for what, token in (
        ("a tampered access token", tampered),
        ("a refresh token as access token", tokens["refresh_token"]),
    ):
        answer = story.ask("GET", "/me", Authorization=f"Bearer {token}")
        story.tell(what, answer, 401, "Unauthorized", so="Bearer" in answer.headers.get("WWW-Authenticate", ""))
    story.tell("an access token as refresh token", refresh(story, access), 401, "Invalid refresh token")


def strangers(story: Story, name: str) -> None:
    """Show that a wrong password and an unknown user get the same bytes."""
    wrong = {"username": name, "password": "not the password"}
    first = story.tell("a wrong password", story.ask("POST", "/login", wrong), 401, "Invalid credentials")
    unknown = story.ask("POST", "/login", wrong | {"username": f"{name}-unknown"})
    story.tell("an unknown user, the same bytes", unknown, 401, "Invalid credentials", so=unknown.raw == first.raw)
    for _ in range(9):
        story.ask("POST", "/login", wrong)
    eleventh = story.ask("POST", "/login", wrong)
    waits = 0 < int(eleventh.headers.get("Retry-After", "0")) <= 900  # noqa: PLR2004 - the limit's quarter of an hour
    story.tell("the eleventh guess", eleventh, 429, "Too many attempts. Try again later.", so=waits)


def another_password(story: Story, tokens: Mapping[str, str], password: str) -> dict[str, str]:
    """Change the password, which ends every session but the one that it begins; return that one's tokens."""
    change = {"current_password": password, "new_password": secrets.token_urlsafe(12)}
    asked = story.ask("POST", "/me/password", change, Authorization=f"Bearer {tokens['access_token']}")
    fresh = story.tell("another password", asked, 200, '"refresh_token"').body
    story.tell("the session of before", refresh(story, tokens["refresh_token"]), 401, "Refresh token revoked")
    return dict(fresh)


def browser(story: Story) -> None:
    """Do what browsers and verifiers do."""
    preflight = story.ask(
        "OPTIONS",
        "/login",
        Origin=ORIGIN,
        Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="content-type",
    )
    allowed = preflight.headers.get("Access-Control-Allow-Origin") in ("*", ORIGIN)
    story.tell("a browser's preflight", preflight, 200, so=allowed)
    for document in ("jwks.json", "openid-configuration", "oauth-authorization-server"):
        answer = story.ask("GET", f"/.well-known/{document}")
        private = any("d" in key for key in answer.body.get("keys", []))
        expected = '"kid"' if document == "jwks.json" else f'"issuer": "{story.url}"'
        story.tell("public keys" if expected == '"kid"' else "who issues", answer, 200, expected, so=not private)


def main() -> int:
    """Tell the story; return 1 if any answer was not the expected one."""
    home = Home(ROOT / ".local")
    if not home.stack.exists():
        print("No local stack is up. Start it first: make up (or make run in another terminal).", file=sys.stderr)
        return 1
    story = Story(read(home.stack)["api_url"])
    try:
        tell_all(story, read(home.users))
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    except urllib.error.URLError as error:
        print(f"{story.url} does not answer ({error.reason}). Start it again: make up", file=sys.stderr)
        return 1
    if story.surprises:
        print(f"{story.surprises} answers were not the expected ones.", file=sys.stderr)
    return min(story.surprises, 1)


if __name__ == "__main__":
    sys.exit(main())
