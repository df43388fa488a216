"""Data arrives as the bytes that were published, whatever they spell; what is refused leaves no trace."""

import json
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rig.judges import JUDGES
from rig.vendors import AIRA, STANDARD

SPACES = st.text(" \t\r\n", max_size=3)
NUMBERS = st.one_of(
    st.integers().map(str),
    st.sampled_from(["-0", "0.0", "1.0", "1E+2", "1e400", "-1e-400", "0.1e1", "9" * 400, "0." + "0" * 300 + "1"]),
    st.tuples(st.integers(0, 10**30), st.integers(0, 10**9)).map(lambda parts: f"{parts[0]}.{parts[1]}"),
)
# Each character as itself or as one of its escapes.
CHARACTERS = st.one_of(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\'),
    st.sampled_from(['\\"', "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t", "</script>", "\u2028", "\u202e", "\x7f"]),
    st.integers(0, 0xD7FF).map(lambda code: f"\\u{code:04x}"),
    st.integers(0x10000, 0x10FFFF).map(lambda code: json.dumps(chr(code)).strip('"')),
)
STRINGS = st.lists(CHARACTERS, max_size=8).map(lambda parts: f'"{"".join(parts)}"')


def _array(items):
    return st.lists(st.tuples(SPACES, items, SPACES).map("".join), max_size=4).map(lambda all: f"[{','.join(all)}]")


def _object(values):
    """Members whose names differ even when their escapes are resolved."""
    member = st.tuples(SPACES, STRINGS, SPACES, values, SPACES)
    members = st.lists(member, max_size=5, unique_by=lambda one: json.loads(one[1]))
    return members.map(lambda all: f"{{{','.join(f'{a}{name}{b}:{value}{c}' for a, name, b, value, c in all)}}}")


VALUES = st.recursive(
    st.one_of(st.sampled_from(["true", "false", "null"]), NUMBERS, STRINGS),
    lambda inner: st.one_of(_array(inner), _object(inner)),
    max_leaves=12,
)
DATA = _object(VALUES).map(str.encode)


def _with_one_byte_changed(parts):
    text, place, byte = parts
    place %= len(text)
    return text[:place] + bytes([byte]) + text[place + 1 :]


DAMAGED = st.tuples(DATA, st.integers(0, 10_000), st.integers(0, 255)).map(_with_one_byte_changed)


@pytest.mark.parametrize("vendor", [STANDARD, AIRA], ids=str)
def test_what_is_accepted_arrives_byte_for_byte_and_nothing_else_does(vendor, join, receiver, capsys):
    customer, admin = join(vendor)
    event_type = next(iter(vendor.events))
    inbox = receiver.inbox(f"/bytes/{vendor}")
    webhook = customer.register(receiver.url(f"/bytes/{vendor}"), [event_type])
    told = Counter()

    @settings(max_examples=8, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(DATA, min_size=20, max_size=20), st.lists(DAMAGED, min_size=20, max_size=20))
    def holds(sound, damaged):
        accepted = []
        for data in [*sound, *damaged]:
            status = admin.try_publish(customer.account, event_type, data)
            assert status in (202, 400, 422), data
            assert status == 202 or data not in sound, data
            told[status] += 1
            if status == 202:
                accepted.append(data)
        arrived = [inbox.take() for _ in accepted]
        for one in arrived:
            assert all(accepts(one, webhook.secret) for accepts in JUDGES[vendor.name])
            json.loads(one.body)
        assert Counter(_data_of(vendor, one.body) for one in arrived) == Counter(_spliced(vendor, data) for data in accepted)

    holds()
    assert inbox.is_empty()
    assert told[202] and told[400], told
    with capsys.disabled():
        print(f"\ncounted | requests | random data published to {vendor}, accepted and compared | {told[202]}")
        print(f"counted | requests | random data published to {vendor}, refused | {told[400] + told[422]}")


def _spliced(vendor, data):
    """What of the data stands in a delivery: the whole object, or where the envelope is flat its members."""
    return data if vendor is STANDARD else data[1:-1].strip(b" \t\r\n")


def _data_of(vendor, body):
    if vendor is STANDARD:
        return body[body.index(b'"data":') + len(b'"data":') : -1]
    # {"event":"…",MEMBERS,"timestamp":"…"}
    inside = body[body.index(b",") + 1 : body.rindex(b'"timestamp":')]
    return inside.rstrip(b",").strip(b" \t\r\n")
