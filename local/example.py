"""Deploy another team's stack beside Rolegate's, and ask it with the demo users' tokens: `python -m local.example`."""

import sys
from collections.abc import Mapping

from local import demo, demo_users
from local.demo import Answer, Story
from local.deploy import outputs_of, sam_deploy
from local.home import ARCHITECTURE, ROOT, Home, read
from local.process import Failure, end_on_signals
from local.server import Server, find

STACK_NAME = "reports"
TEMPLATE = ROOT / "examples" / "reports-api" / "template.yaml"
NEEDED = {"/reports": "user", "/reports/9": "manager", "/drafts": "manager", "/audit": "admin"}
ROLES = ("user", "manager", "admin")


def deploy(server: Server, rolegate: str = "rolegate", stack_name: str = STACK_NAME) -> dict[str, str]:
    """Deploy the example beside the Rolegate of that stack name; give the address of each of its APIs.

    Raises:
        Failure: SAM could not deploy it.
    """
    parameters = {
        "Architecture": ARCHITECTURE,
        "RolegateLayer": f"/{rolegate}/layer",
        **{f"{role.title()}Authorizer": f"/{rolegate}/authorizers/{role}" for role in ROLES},
    }
    sam_deploy(server, parameters, TEMPLATE, stack_name)
    outputs, base = outputs_of(server, stack_name), f"{server.endpoint_url}/_aws/execute-api"
    return {"REST": f"{base}/{outputs['RestApiId']}/v1", "HTTP": f"{base}/{outputs['HttpApiId']}/$default"}


def tell_all(api: str, story: Story, tokens: Mapping[str, str]) -> None:
    """Ask every route of an API as everybody, and as nobody."""
    for path, needed in NEEDED.items():
        for role, token in tokens.items():
            status = 200 if ROLES.index(role) >= ROLES.index(needed) else 403
            # An HTTP API has no word of its own for a role too low; the service's own guard, at one report, has.
            says = status == 403 and (api == "REST" or path == "/reports/9")  # noqa: PLR2004 - HTTP's own number
            expected = f"{needed} access required" if says else ""
            story.tell(f"{api}: {role} where {needed} is asked for", ask(story, path, token), status, expected)
    story.tell(f"{api}: no token", ask(story, "/reports", None), 401)
    story.tell(f"{api}: no true token", ask(story, "/reports", "a.b.c"), 401 if api == "REST" else 403)


def ask(story: Story, path: str, token: str | None) -> Answer:
    """Send one request, with a token or without."""
    return story.ask("GET", path, None, **({"Authorization": f"Bearer {token}"} if token else {}))


def main() -> int:
    """Deploy it beside the running local stack and tell its story; return 1 if any answer was not the expected one."""
    end_on_signals()
    home = Home()
    server = find(home)
    if server is None or not home.stack.exists():
        raise Failure("No local stack is up. Start it first: make up")
    addresses = deploy(server)
    first = Story(read(home.stack)["api_url"])
    tokens = {}
    passwords = read(home.users)
    if not passwords.keys() >= demo_users.ROLES.keys():
        raise Failure(
            "The demo users' passwords are not known here, so nobody can sign in. Start afresh: make down, make up"
        )
    for username, role in demo_users.ROLES.items():
        what = f"{username} signs in at Rolegate"
        tokens[role] = demo.sign_in(first, what, username, passwords[username], f'"role": "{role}"')["access_token"]
    surprises = first.surprises
    for api, url in addresses.items():
        story = Story(url)
        tell_all(api, story, tokens)
        surprises += story.surprises
    print("\nAsk it yourself, with an access token of POST /login:")
    for url in addresses.values():
        print(f"  curl '{url}/reports' -H \"Authorization: Bearer $TOKEN\"")
    return min(surprises, 1)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(str(failure))
