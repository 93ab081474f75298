"""Where the checks of schemathesis are told more than they can know, each with its reason."""

# Operations whose answer is a card number: past policy and audit.
MAY_ANSWER_DIGITS = frozenset({"POST /api/v1/tokens/{token}/detokenize/", "POST /api/v1/tokens/detokenize/"})

# Statuses that data which fits the schema may get, besides those that schemathesis allows by itself.
POSITIVE = [
    # A card that was erased: a state, not a form.
    "410",
    # `If-Match` is well formed and names another state (RFC 9110, 13.1.1).
    "412",
    # An `Idempotency-Key` is well formed and came with another request before.
    "422",
]
CHECKS = {
    "positive_data_acceptance": {
        "expected-statuses": ["2xx", "3xx", "401", "403", "404", "409", "429", *POSITIVE],
    },
    # Schemathesis would let 5xx pass here; nothing that is sent may cause one.
    "negative_data_rejection": {
        "expected-statuses": ["400", "401", "403", "404", "405", "406", "409", "410", "412", "413", "415", "422"],
    },
}
# Codes that data which fits the schema may get, because a schema cannot say it.
EXCUSED = {
    # Schemathesis sends again what it was answered or sent elsewhere: card numbers come to stand where none belongs.
    "contains_pan": "No pattern says that a text has no card number in it, in any spelling.",
    "pan_in_url": "The same, in an address.",
    "forbidden": "Nor that no key is a spelling of CVV, PIN or track.",
    "null_characters_not_allowed": "A database keeps no NUL; a pattern for that would hide what the text is about.",
    "length": "How many digits a card number has depends on its brand.",
    "checksum": "The check digit is arithmetic.",
    "expired": "That depends on the day.",
    "card_expired": "That depends on the card.",
    "card_erased": "That depends on the card.",
    "card_not_available": "That depends on whose card it is.",
    "not_found": "That depends on what is there.",
}
# The same, where the code means more than that elsewhere.
EXCUSED_AT = {
    ("cursor", "invalid"): "It is opaque: it comes from another page.",
    ("/amount", "invalid"): "How many decimal places there may be depends on the currency.",
}
