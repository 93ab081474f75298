import random

import pytest

from vault.misplaced import headers_with_pan, nameable

DRAWS = 3000
# As browsers, proxies and networks for content send them.
EVERY_DAY = {
    "User-Agent": [
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.6367.243 Safari/537.36",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4_1 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (Linux; Android 13; SM-S908B Build/TP1A.220624.014; wv) Chrome/124.0.6367.179 Mobile",
        "Instagram 275.0.0.27.98 Android (33/13; 420dpi; 1080x2400; samsung; SM-S908B; b0q; qcom; en_US; 458229237)",
        "python-requests/2.32.3",
    ],
    "Sec-Ch-Ua": ['"Chromium";v="124", "Google Chrome";v="124", "Not-A.Brand";v="99"'],
    "Content-Type": [
        "multipart/form-data; boundary=---------------------------735323031399963166993862150",
        "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
    ],
    "If-Modified-Since": ["Wed, 21 Oct 2026 07:28:00 GMT"],
    "X-Forwarded-For": ["52.142.124.215, 10.0.0.1, 172.16.1.5", "2001:db8:85a3::8a2e:370:7334"],
    "Via": ["1.1 4c8f2c0e1a2b3c4d5e6f708192a3b4c5.cloudfront.net (CloudFront)"],
    "Dnt": ["1"],
    "Content-Length": ["1048576"],
}


def hexadecimal(draw, length):
    return f"{draw.getrandbits(4 * length):0{length}x}"


TRACES = {
    "Traceparent": lambda draw: f"00-{hexadecimal(draw, 32)}-{hexadecimal(draw, 16)}-01",
    "B3": lambda draw: f"{hexadecimal(draw, 32)}-{hexadecimal(draw, 16)}-1-{hexadecimal(draw, 16)}",
    "X-B3-Traceid": lambda draw: hexadecimal(draw, 16),
    "Cf-Ray": lambda draw: f"{hexadecimal(draw, 16)}-FRA",
    "X-Cloud-Trace-Context": lambda draw: f"{hexadecimal(draw, 32)}/{draw.getrandbits(64)};o=1",
    "X-Datadog-Trace-Id": lambda draw: str(draw.getrandbits(64)),
    "X-Datadog-Parent-Id": lambda draw: str(draw.getrandbits(63)),
    "X-Amzn-Trace-Id": lambda draw: f"Root=1-{hexadecimal(draw, 8)}-{hexadecimal(draw, 24)}",
    "X-Request-Id": lambda draw: hexadecimal(draw, 32),
}


@pytest.mark.parametrize("name", TRACES)
def test_no_false_alarm_on_a_trace(name):
    draw = random.Random(name)  # noqa: S311 - the same ones in each run
    assert not [value for _ in range(DRAWS) if headers_with_pan({name: (value := TRACES[name](draw))})]


@pytest.mark.parametrize("name", EVERY_DAY)
def test_no_false_alarm_on_what_browsers_and_proxies_send(name):
    assert not [value for value in EVERY_DAY[name] if headers_with_pan({name: value})]


def grouped_in_fours(canary, label):
    """As four groups of an address, none of which begins with a zero that nobody would write there."""
    while True:
        digits = canary(label)
        groups = [digits[start : start + 4] for start in range(0, 16, 4)]
        if not any(group.startswith("0") for group in groups):
            return ":".join(groups)


@pytest.mark.parametrize("before", ["", "203.0.113.7, "])
@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Real-Ip", "Cf-Connecting-Ip"])
def test_no_false_alarm_on_an_address_of_a_client(canary, name, before):
    address = f"2001:db8:8a2e:370:{grouped_in_fours(canary, 'address')}"
    assert headers_with_pan({name: before + address}) == []
    assert headers_with_pan({"X-Customer": address}) == ["X-Customer"]


@pytest.mark.parametrize(
    "around", ["{}", "::{}", "203.0.113.7, {}", "2001:db8:8a2e:370:{}%eth0", "for={}", "0:0:0:0:{}"]
)
def test_a_card_number_is_no_address(canary, around):
    value = around.format(grouped_in_fours(canary, "address"))
    assert headers_with_pan({"X-Forwarded-For": value}) == ["X-Forwarded-For"]
    assert headers_with_pan({"X-Forwarded-For": canary("plain")}) == ["X-Forwarded-For"]


@pytest.mark.parametrize("name", ["Traceparent", "B3", "X-B3-Traceid", "Cf-Ray"])
def test_what_has_not_the_form_of_a_trace_is_found_in_its_header(canary, name):
    assert headers_with_pan({name: canary("trace")}) == [name]


@pytest.mark.parametrize("name", ["X-Datadog-Trace-Id", "X-Cloud-Trace-Context"])
def test_a_card_number_in_groups_is_no_decimal_trace(canary, name):
    digits = canary("trace")
    assert headers_with_pan({name: f"{digits[:8]} {digits[8:]}"}) == [name]


def test_the_name_is_looked_at_as_well_and_the_authorization_is_not(canary):
    digits = canary("header")
    assert headers_with_pan({f"X-{digits}": "1", "Authorization": digits, "Accept": "*/*"}) == [f"X-{digits}"]


@pytest.mark.parametrize(("key", "shown"), [("X-Customer", "X-Customer"), ("a b", ""), ("<b>", ""), ("x" * 41, "")])
def test_what_cannot_be_anything_but_a_name_may_be_said(key, shown):
    assert nameable(key) == shown
