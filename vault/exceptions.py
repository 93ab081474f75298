"""The states in which the vault refuses. Messages are constants: nothing a caller passed in is ever part of one."""

from enum import StrEnum


def _(sentence: str) -> str:
    """Mark a sentence for translation, which `vault.sentences` does: this room knows no Django."""
    return sentence


class VaultError(Exception):
    """The vault refused."""

    #: What AWS answered, as "Operation: Code", if this state comes from an answer of AWS. Never part of the message.
    aws_answer: str = ""

    def __init__(self) -> None:
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """The constant sentence that describes this state; safe to log and to show."""
        return (type(self).__doc__ or "").strip()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return type(self), ()


class PANProblem(StrEnum):
    """What is wrong with a card number; the value is the stable code, `message` the sentence for people."""

    EMPTY = "empty"
    CHARACTERS = "characters"
    LENGTH = "length"
    CHECKSUM = "checksum"
    REAL = "real"

    @property
    def message(self) -> str:
        return _PAN_MESSAGES[self]


_PAN_MESSAGES = {
    PANProblem.EMPTY: _("Enter a card number."),
    PANProblem.CHARACTERS: _("A card number has digits only; spaces and hyphens may separate them."),
    PANProblem.LENGTH: _("This card number has the wrong number of digits."),
    PANProblem.CHECKSUM: _("This is not a valid card number. Check for a mistyped digit."),
    PANProblem.REAL: _("Only test card numbers are taken here. Do not enter a real one."),
}


class InvalidPAN(VaultError, ValueError):
    """The text is not a card number."""

    def __init__(self, problem: PANProblem) -> None:
        self.problem = problem
        super().__init__()

    @property
    def message(self) -> str:
        return self.problem.message

    def __reduce__(self) -> tuple[type, tuple[PANProblem]]:  # type: ignore[override]
        return type(self), (self.problem,)


class InvalidToken(VaultError, ValueError):
    """The text is not a card token."""


class KeyProblem(StrEnum):
    """What is wrong with a recipient's key; the value is the stable code, `message` the sentence for people."""

    UNREADABLE = "unreadable"
    PRIVATE = "private"
    KIND = "kind"
    SHORT = "short"

    @property
    def message(self) -> str:
        return _KEY_MESSAGES[self]


_KEY_MESSAGES = {
    KeyProblem.UNREADABLE: _("This is not a public key in PEM (BEGIN PUBLIC KEY) or as one JWK."),
    KeyProblem.PRIVATE: _("This is a private or secret key. It was not stored; its owner should replace it."),
    KeyProblem.KIND: _("Only RSA keys and keys on the curves P-256 and P-384 are accepted, for encryption."),
    KeyProblem.SHORT: _("RSA keys have at least 3072 and at most 8192 bits, and an exponent of 65537 or more."),
}


class InvalidRecipientKey(VaultError, ValueError):
    """Nothing may be encrypted to this key."""

    def __init__(self, problem: KeyProblem) -> None:
        self.problem = problem
        super().__init__()

    @property
    def message(self) -> str:
        return self.problem.message

    def __reduce__(self) -> tuple[type, tuple[KeyProblem]]:  # type: ignore[override]
        return type(self), (self.problem,)


class ForeignExportFile(VaultError):
    """The output file is not the one that this export began in."""


class ExportFileInUse(VaultError):
    """Another process writes this export now."""


class ExportFileUnwritable(VaultError):
    """The output file cannot be written."""


class TokenNotFound(VaultError, LookupError):
    """No card is stored under this token."""


class CardErased(VaultError):
    """The card is no longer on file."""


class Refusal(StrEnum):
    """Why somebody may not; the value is the stable code, `message` the sentence for people."""

    NO_RIGHT = "no_right"
    PURPOSE = "purpose"
    PURPOSE_TEXT = "purpose_text"
    GROUP = "group"
    NETWORK = "network"
    HOURS = "hours"
    LOCKED = "locked"
    BUDGET = "budget"
    APPROVAL = "approval"
    SAME_PERSON = "same_person"
    OTHER_PERSON = "other_person"
    TICKET = "ticket"
    OPEN_REQUEST = "open_request"
    STATE = "state"
    EXPIRED = "expired"
    FRESH_SIGN_IN = "fresh_sign_in"
    BREAK_GLASS = "break_glass"
    NOTE = "note"
    INCIDENT_STATE = "incident_state"
    STILL_THERE = "still_there"
    TWO_APPROVALS = "two_approvals"
    RECIPIENT = "recipient"
    SELECTION = "selection"

    @property
    def message(self) -> str:
        return _REFUSAL_MESSAGES[self]


_REFUSAL_MESSAGES = {
    Refusal.NO_RIGHT: _("This right was not granted."),
    Refusal.PURPOSE: _("The purpose is not on the list."),
    Refusal.PURPOSE_TEXT: _("Say in a few words what it is for. Card numbers do not belong there."),
    Refusal.GROUP: _("This purpose is for other groups."),
    Refusal.NETWORK: _("This purpose is not allowed from this network."),
    Refusal.HOURS: _("This purpose is not allowed at this hour."),
    Refusal.LOCKED: _("Reading is locked after too many cards. Somebody who approves reveals can unlock it."),
    Refusal.BUDGET: _("Too many cards within an hour. Reading is now locked."),
    Refusal.APPROVAL: _("Without the right to read unattended, a number is seen through an approved request alone."),
    Refusal.SAME_PERSON: _("Another person has to decide this."),
    Refusal.OTHER_PERSON: _("This request is somebody else's."),
    Refusal.OPEN_REQUEST: _("You have a request for this card that can still be decided or used."),
    Refusal.TICKET: _("Name the ticket that this is about. Card numbers do not belong there."),
    Refusal.STATE: _("This request was decided or used already."),
    Refusal.EXPIRED: _("This request has expired."),
    Refusal.FRESH_SIGN_IN: _("Confirm who you are first."),
    Refusal.BREAK_GLASS: _("Break-glass is switched off here."),
    Refusal.NOTE: _("Say in a few words what you found. Card numbers do not belong there."),
    Refusal.INCIDENT_STATE: _("This incident was decided otherwise meanwhile."),
    Refusal.STILL_THERE: _("A card number still stands in one of the places. Remove it there first."),
    Refusal.TWO_APPROVALS: _("Two people who may approve exports have to agree first."),
    Refusal.RECIPIENT: _("Name the recipient. Card numbers do not belong there."),
    Refusal.SELECTION: _("Choose at least one card, and none that is not on file."),
}


class AccessDenied(VaultError):
    """This actor may not do this."""

    def __init__(self, reason: Refusal = Refusal.NO_RIGHT) -> None:
        self.reason = reason
        super().__init__()

    def __reduce__(self) -> tuple[type, tuple[Refusal]]:  # type: ignore[override]
        return type(self), (self.reason,)


class DetokenizationDenied(AccessDenied):
    """This actor may not read card numbers for this purpose."""


class Tampering(StrEnum):
    """What is wrong with a stored item; the value is the stable code, `message` the sentence for people."""

    SIGNATURE = "signature"
    OLDER = "older"
    OTHER_CARD = "other_card"
    FOREIGN_KEY = "foreign_key"
    UNRECORDED = "unrecorded"

    @property
    def message(self) -> str:
        return _TAMPERING_MESSAGES[self]


_TAMPERING_MESSAGES = {
    Tampering.SIGNATURE: _("The stored card failed its integrity check."),
    Tampering.OLDER: _("The stored card failed its integrity check: an older state of it was put back."),
    Tampering.OTHER_CARD: _("The stored card failed its integrity check: another card's item lies in its place."),
    Tampering.FOREIGN_KEY: _(
        "The stored card failed its integrity check: it was sealed under a key that is not listed."
    ),
    Tampering.UNRECORDED: _("The stored card failed its integrity check: it is not the state that was last written."),
}


class RecordTampered(VaultError):
    """The stored card failed its integrity check."""

    def __init__(self, kind: Tampering = Tampering.SIGNATURE) -> None:
        self.kind = kind
        super().__init__()

    @property
    def message(self) -> str:
        return self.kind.message

    def __reduce__(self) -> tuple[type, tuple[Tampering]]:  # type: ignore[override]
        return type(self), (self.kind,)


class OnHold(VaultError):
    """The card is under legal hold and cannot be erased."""


class CardInUse(VaultError):
    """The card is needed again and was not erased."""


class KeyInUse(VaultError):
    """Items are still under this key. Run vault_reencrypt until none is left."""


class KeyListTooYoung(VaultError):
    """Some processes may still work with the list of keys as it was before. Wait a little and try again."""


class NotTokenized(VaultError, TypeError):
    """A card number cannot be written this way: assign it and call save(), or use a PANQuerySet."""


class PlaintextRefused(VaultError):
    """A request to AWS carried something other than a sealed card record and was stopped before it left."""


class VaultSealed(VaultError):
    """The vault cannot be opened: a key or table is missing, disabled or not permitted."""


class VaultUnavailable(VaultError):
    """The vault did not answer in time. Try again."""


class ScanInterrupted(VaultError):
    """The scan could not go on: a database, or a file that it was to read, did not answer."""


class ScanRunning(VaultError):
    """Another scan of the same kind is running, or one was killed elsewhere within ten minutes. Wait, or --restart."""


class ScanTakenOver(VaultError):
    """Another process began this scan anew, so that this one stopped."""


class AuditUnavailable(VaultError):
    """The audit log could not be written, so the operation was refused."""
