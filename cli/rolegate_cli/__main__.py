"""Read the command line, do one thing, say what happened."""

import argparse
import getpass
import sys
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError
from rolegate.errors import Misconfigured, RolegateError
from rolegate.model import User
from rolegate.stores import aws

from rolegate_cli import keys, stack, users


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return 0, or 1 with one sentence on standard error."""
    given = _parser().parse_args(arguments)
    try:
        given.run(stack.find(given.profile, given.region, given.stack_name), given)
    except aws.Refused as error:
        return _failed(f"AWS refused: {error.said}")
    except (RolegateError, Misconfigured, stack.CommandError) as error:
        return _failed(str(error))
    except ClientError as error:
        return _failed(f"AWS refused: {error.response['Error']['Message']}")
    except BotoCoreError as error:
        return _failed(f"AWS could not be asked: {error}")
    except (KeyboardInterrupt, EOFError):
        return _failed("Stopped; nothing was changed.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rolegate", description="Look after a Rolegate stack: the local one, or with --stack-name one on AWS."
    )
    parser.add_argument("--stack-name", help="the CloudFormation stack on AWS (default: the local stack)")
    parser.add_argument("--region", help="the stack's AWS region (default: the profile's)")
    parser.add_argument("--profile", help="the AWS profile to use")
    commands = parser.add_subparsers(required=True, metavar="users|keys|sign-out-everyone")
    _users_parser(commands.add_parser("users", help="add users, set roles, unlock, list"))
    _keys_parser(commands.add_parser("keys", help="show the keys, rotate them, throw away what leaked"))
    everyone = commands.add_parser("sign-out-everyone", help="end every session; access tokens last to their end")
    everyone.set_defaults(run=_sign_everyone_out)
    return parser


def _users_parser(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_users)
    actions = parser.add_subparsers(dest="action", required=True, metavar="add|set-role|unlock|list")
    add = actions.add_parser("add", help="create a user; the password is asked for")
    add.add_argument("username")
    add.add_argument("--role", help="one of the stack's roles (default: the lowest)")
    add.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    set_role = actions.add_parser("set-role", help="change a user's role")
    set_role.add_argument("username")
    set_role.add_argument("role", help="one of the stack's roles")
    unlock = actions.add_parser("unlock", help="forget the guesses that keep a user out")
    unlock.add_argument("username")
    unlock.add_argument("--address", help="where the user comes from: what that network has used up is forgotten too")
    actions.add_parser("list", help="show every user, one a line")


def _keys_parser(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_keys)
    actions = parser.add_subparsers(dest="action", required=True, metavar="show|rotate")
    actions.add_parser("show", help="say what each key is now and when that changes")
    rotate = actions.add_parser("rotate", help="have the next keys sign from now on; refuses nobody's token")
    rotate.add_argument(
        "--compromised",
        choices=["signing", "refresh", "both"],
        help="throw every key of that kind away at once; without the refresh keys every session ends",
    )


def _users(found: stack.Stack, given: argparse.Namespace) -> None:
    match given.action:
        case "add":
            role = users.role_for(found, given.role)
            added = users.add(found, given.username, role, _password(asked=not given.password_stdin))
            print(f"Added {added.username} with the role {added.role}.")
        case "set-role":
            changed = users.set_role(found, given.username, given.role)
            print(f"{changed.username} has the role {changed.role} now; access tokens follow at their next refresh.")
        case "unlock":
            name = users.unlock(found, given.username, given.address)
            if given.address is None:
                print(f"Forgotten: the guesses at the name {name} from all networks together.")
                print("What one network has used up by itself is forgotten with its address: --address.")
            else:
                print(f"Forgotten: the guesses at the name {name}, and those from {given.address} at any name.")
        case _:
            for user in users.every(found):
                print(_line(user))


def _keys(found: stack.Stack, given: argparse.Namespace) -> None:
    print(f"Keys of {found.name}")
    if given.action == "show":
        print("\n".join(keys.lines(keys.show(found))))
    elif given.compromised:
        print("\n".join(keys.lines(keys.drop(found, given.compromised))))
        print(
            "No verifier of Rolegate's own takes one of the old keys after 7 minutes; docs/operations.md says who else."
        )
        print("For 5 minutes sign-in and refresh may still use old keys, and answer tokens that are then refused.")
    else:
        report = keys.rotate(found)
        print("\n".join(keys.lines(report)))
        if sentences := keys.waiting(report):
            raise stack.CommandError("\n".join(sentences))


def _sign_everyone_out(found: stack.Stack, _given: argparse.Namespace) -> None:
    print(f"Users of {found.name}")
    keys.sign_everyone_out(found)
    print("Every session that was begun before now ends: within 5 minutes no refresh token of one is taken any more.")


def _line(user: User) -> str:
    created = datetime.fromtimestamp(user.created_at, UTC).strftime("%Y-%m-%d")
    state = "deleted" if user.deleted_at else "disabled" if user.disabled else "enabled"
    return f"{user.username}\t{user.role}\t{state}\t{created}\t{user.user_id}"


def _password(*, asked: bool) -> str:
    if not asked or not sys.stdin.isatty():
        return sys.stdin.readline().removesuffix("\n").removesuffix("\r")
    password = getpass.getpass("Password: ")
    if password != getpass.getpass("Again: "):
        raise stack.CommandError("The two passwords differ; nothing was changed.")
    return password


def _failed(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
