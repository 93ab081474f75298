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
# What is said of data that fits the schema, by code and place: a schema cannot say it.
EXCUSED: dict[tuple[str, str], str] = {}
