"""The states in which the vault refuses. Messages are constants: nothing a caller passed in is ever part of one."""

from enum import StrEnum


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

    @property
    def message(self) -> str:
        return _PAN_MESSAGES[self]


_PAN_MESSAGES = {
    PANProblem.EMPTY: "Enter a card number.",
    PANProblem.CHARACTERS: "A card number has digits only; spaces and hyphens may separate them.",
    PANProblem.LENGTH: "This card number has the wrong number of digits.",
    PANProblem.CHECKSUM: "This is not a valid card number. Check for a mistyped digit.",
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


class TokenNotFound(VaultError, LookupError):
    """No card is stored under this token."""


class CardErased(VaultError):
    """The card is no longer on file."""


class DetokenizationDenied(VaultError):
    """This actor may not read card numbers for this purpose."""


class RecordTampered(VaultError):
    """The stored card failed its integrity check."""


class NotTokenized(VaultError, TypeError):
    """A card number cannot be written this way: assign it and call save(), or use a PANQuerySet."""


class PlaintextRefused(VaultError):
    """A request to AWS carried something other than a sealed card record and was stopped before it left."""


class VaultSealed(VaultError):
    """The vault cannot be opened: a key or table is missing, disabled or not permitted."""


class VaultUnavailable(VaultError):
    """The vault did not answer in time. Try again."""


class AuditUnavailable(VaultError):
    """The audit log could not be written, so the operation was refused."""
