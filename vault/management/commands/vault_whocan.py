from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser

from vault import services
from vault.access import Access, APITokens, Reader, explain
from vault.audit import record
from vault.exceptions import VaultError
from vault.keypolicy import KeyUser
from vault.management.operators import OperatorCommand
from vault.purposes import PurposeRule
from vault.stdout import taken
from vault.tokens import Token


class Command(OperatorCommand):
    help = "Say who could read the card number under a token, and why. Nothing is opened; that it was asked is audited."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("token")
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        with taken():
            self._explain(options)

    def _explain(self, options: dict[str, Any]) -> None:
        try:
            token = Token.parse(options["token"])
            record("access.read", token=token.text, subject="vault_whocan")
            access = explain(services.describe(token))
        except VaultError as error:
            raise CommandError(error.message) from None
        if options["format"] == "json":
            self.stdout.write(json.dumps(_report(access), indent=2))
        else:
            self.stdout.write("\n".join(_lines(access)))
        if access.key_problem:
            raise CommandError("AWS did not say who may use the card key.")


def _report(access: Access) -> dict[str, Any]:
    report = asdict(access)
    for reader, written in zip(access.readers, report["readers"], strict=True):
        written["is_able"] = reader.is_able
        written["purposes"] = [
            {"name": rule.name, "networks": list(rule.networks), "hours": rule.hours} for rule in reader.purposes
        ]
        if reader.api_tokens:
            written["api_tokens"]["latest"] = _time(reader.api_tokens.latest)
    for request, written in zip(access.requests, report["requests"], strict=True):
        written["expires"] = _time(request.expires)
    return report


def _lines(access: Access) -> Iterator[str]:
    yield f"Card {access.token}"
    if access.is_erased:
        yield "nobody: the card is no longer on file"
        return
    able = [reader for reader in access.readers if reader.is_able]
    breakers = [reader for reader in access.readers if reader.by_break_glass]
    others = [reader for reader in access.readers if not reader.is_able and not reader.by_break_glass]
    yield from _section("Can read it now", [line for reader in able for line in _reader(reader)])
    if access.has_break_glass and access.needs_approval:
        yield from _section(
            "Can read it now by break-glass, which alarms", [line for reader in breakers for line in _reader(reader)]
        )
    yield from _section("Have the right, but not now", [line for reader in others for line in _reader(reader)])
    yield from _section(
        "Cannot, but could grant it to themselves", [f"{each.name} ({each.id}): {each.by}" for each in access.granters]
    )
    if access.needs_approval:
        yield from _section("Reveal requests, without which staff see nothing", list(_requests(access)))
    if access.key_problem:
        yield f"AWS refused to name the principals of the card key: {access.key_problem}"
    else:
        yield from _section(
            "AWS, round the application, with the card key", [_key_user(user) for user in access.key_users]
        )
    yield "The fingerprint key opens no card."


def _section(title: str, lines: list[str]) -> Iterator[str]:
    yield f"{title}:"
    yield from (f"  {line}" for line in lines or ["nobody"])


def _reader(reader: Reader) -> Iterator[str]:
    yield f"{reader.name} ({reader.id}): {', '.join(reader.through)}"
    for refusal in reader.obstacles:
        yield f"    but: {refusal.message}"
    if reader.approved is not None:
        yield f"    by reveal request {reader.approved}"
    yield f"    for: {'; '.join(_purpose(rule) for rule in reader.purposes) or 'no purpose'}"
    yield f"    {reader.spent} of {reader.budget} cards within the last hour"
    if reader.api_tokens:
        yield f"    {_api_tokens(reader.api_tokens)}"


def _purpose(rule: PurposeRule) -> str:
    conditions = [f"from {network}" for network in rule.networks] + ([f"at {rule.hours}"] if rule.hours else [])
    return f"{rule.name} ({', '.join(conditions)})" if conditions else rule.name


def _api_tokens(tokens: APITokens) -> str:
    until = f"until {_time(tokens.latest)}" if tokens.latest else "one of which never expires"
    return f"API tokens: {tokens.count}, {until}"


def _requests(access: Access) -> Iterator[str]:
    for request in access.requests:
        decided = f"approved by {request.approver}" if request.approver else "waiting"
        approvers = f"; could approve: {', '.join(request.may_approve) or 'nobody'}" if not request.approver else ""
        until = _time(request.expires)
        yield f"{request.id}: {request.requester} for {request.purpose}, {decided}, until {until}{approvers}"


def _key_user(user: KeyUser) -> str:
    words = {"*": "anybody at all"}
    name = f"{user.principal}: whoever the account's IAM policies allow" if user.is_account else user.principal
    denied = "" if user.is_allowed else "denied: "
    condition = f", if {json.dumps(user.condition)}" if user.condition else ""
    return f"{denied}{words.get(name, name)}{condition}"


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None
