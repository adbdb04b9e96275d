"""What every trigger must do: derive a test class from `TriggerSuite` and give it fixtures.

    class TestMine(TriggerSuite):
        @pytest.fixture
        def trigger(self):
            return MyTrigger()

        @pytest.fixture
        def push(self):
            return Sample({"x-mine-event": "push", "x-mine-delivery": "1"}, body_of_a_push)

        @pytest.fixture
        def unknown(self):
            return Sample({"x-mine-event": "moon"}, b"{}")

        def prove(self, sample, secret):
            return {**sample.headers, "x-mine-signature": ...}

Set `proves_body = False` where the forge shows a token and signs nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest

from fiat.errors import SpecError
from fiat.ports.trigger import Trigger
from fiat.run.delivery import Pushed

SECRET = "correct horse battery staple"  # noqa: S105  # a test's
OTHER = "another secret of some length"
_NOT_TAKEN = {
    "empty": b"",
    "text": b"push",
    "no object": b"[1]",
    "cut": b'{"a": 1',
    "more behind": b'{"a": 1} {"b": 2}',
    "not UTF-8": b'{"a": "\xff"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "not finite": b'{"a": NaN}',
    "too large for a float": b'{"a": 1e999}',
    "a number of a million digits": b'{"a": ' + b"9" * 1_000_000 + b"}",
    "a key twice": b'{"a": 1, "a": 2}',
    "a key twice, deep": b'{"a": [{"b": 1, "b": 1}]}',
    "deep lists": b'{"a": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "deep and cut": b'{"a":' * 100_000,
    "quotes without end": b'{"a": "' + b'\\"' * 500_000,
}


@dataclass(frozen=True)
class Sample:
    """A request of the forge.

    Attributes:
        headers: by lower-case name, without what proves it.
        body: as it comes.
    """

    headers: Mapping[str, str]
    body: bytes


class TriggerSuite:
    """What a trigger must do with each of its forge's requests."""

    proves_body = True

    @pytest.fixture
    def trigger(self) -> Trigger:
        raise NotImplementedError("give the trigger that is tested")

    @pytest.fixture
    def push(self) -> Sample:
        raise NotImplementedError("give a push to a branch")

    @pytest.fixture
    def unknown(self) -> Sample:
        raise NotImplementedError("give an event that the trigger has not heard of")

    def prove(self, sample: Sample, secret: str) -> Mapping[str, str]:
        raise NotImplementedError("give the headers that the forge sends with this secret")

    def secret(self, text: str) -> str:
        """The secret in the forge's own form."""
        return text

    def test_it_says_who_it_is(self, trigger: Trigger) -> None:
        assert trigger.name
        assert isinstance(trigger.order, int)

    def test_it_recognises_its_forge_by_headers(self, trigger: Trigger, push: Sample) -> None:
        assert trigger.recognises(self.prove(push, self.secret(SECRET)))
        assert not trigger.recognises({"content-type": "application/json"})

    def test_each_of_several_secrets_is_taken(self, trigger: Trigger, push: Sample) -> None:
        right, other = self.secret(SECRET), self.secret(OTHER)
        headers = self.prove(push, right)
        for secrets in ([right], [right, other], [other, right], ["", right]):
            assert trigger.verify(headers, push.body, secrets)

    def test_no_other_secret_is_taken(self, trigger: Trigger, push: Sample) -> None:
        headers = self.prove(push, self.secret(SECRET))
        assert not trigger.verify(headers, push.body, [self.secret(OTHER)])
        assert not trigger.verify(headers, push.body, [])

    def test_an_empty_secret_proves_nothing(self, trigger: Trigger, push: Sample) -> None:
        for proved in (self.prove(push, self.secret("")), self.prove(push, "")):
            assert not trigger.verify(proved, push.body, ["", self.secret(""), self.secret(OTHER)])

    def test_a_proof_that_is_not_whole_is_refused(self, trigger: Trigger, push: Sample) -> None:
        right = self.secret(SECRET)
        headers, others = self.prove(push, right), self.prove(push, self.secret(OTHER))
        proofs = [name for name in headers if headers[name] != others.get(name)]
        assert proofs
        assert not trigger.verify(_without(headers, proofs), push.body, [right])
        value = headers[proofs[0]]
        for wrong in (
            "",
            value[:-1],
            value + "0",
            value.upper() + "A",
            f"{value},{value}",
            "ü" + value[1:],
            "\udc80",
        ):
            damaged = {**headers, **dict.fromkeys(proofs, wrong)}
            assert not trigger.verify(damaged, push.body, [right]), wrong

    def test_a_body_that_changed_by_a_byte_is_refused(self, trigger: Trigger, push: Sample) -> None:
        headers = self.prove(push, self.secret(SECRET))
        changed = [b" " + push.body, push.body[:-1], bytes([push.body[0] ^ 1]) + push.body[1:]]
        taken = [trigger.verify(headers, body, [self.secret(SECRET)]) for body in changed]
        assert taken == [not self.proves_body] * 3

    def test_a_push_is_read(self, trigger: Trigger, push: Sample) -> None:
        delivery = trigger.read(push.headers, push.body)
        assert delivery.forge == trigger.name
        assert delivery.repo_id.isdigit()
        assert delivery.sender_id.isdigit()
        (pushed,) = delivery.happenings
        assert isinstance(pushed, Pushed)
        assert pushed.ref.startswith("refs/heads/")
        assert len(pushed.commit) in (40, 64)

    def test_the_same_body_under_another_id_has_the_same_key(self, trigger: Trigger, push: Sample) -> None:
        first = trigger.read(push.headers, push.body)
        renamed = {name: f"{value}1" if value == first.id else value for name, value in push.headers.items()}
        again = trigger.read(renamed, push.body)
        assert again.id != first.id
        assert again.body_key == first.body_key

    def test_a_delivery_without_an_id_of_a_proper_shape_has_one_all_the_same(
        self, trigger: Trigger, push: Sample
    ) -> None:
        first = trigger.read(push.headers, push.body)
        for wrong in ("", "\x00", "a b", "x" * 5000):
            headers = {name: wrong if value == first.id else value for name, value in push.headers.items()}
            found = trigger.read(headers, push.body).id
            assert 0 < len(found) <= 100
            assert found == trigger.read(headers, push.body).id

    def test_an_unknown_event_tells_nothing_that_we_act_on(self, trigger: Trigger, unknown: Sample) -> None:
        delivery = trigger.read(unknown.headers, unknown.body)
        assert delivery.happenings == ()
        assert 0 < len(delivery.event) <= 100
        other = trigger.read(unknown.headers, unknown.body + b" ")
        assert other.body_key != delivery.body_key

    @pytest.mark.parametrize("body", _NOT_TAKEN.values(), ids=_NOT_TAKEN)
    def test_what_is_no_proper_json_object_is_refused(
        self, trigger: Trigger, push: Sample, body: bytes
    ) -> None:
        with pytest.raises(SpecError):
            trigger.read(push.headers, body)

    def test_a_push_without_what_a_push_has_is_refused(self, trigger: Trigger, push: Sample) -> None:
        for wrong in (
            b"refs/heads/\\u0000",
            b"refs/heads/\\ud800",
            b"refs/heads/a b",
            b"heads",
            b"refs/heads/../x",
        ):
            assert b'"refs/heads/' in push.body
            head, _, rest = push.body.partition(b'"refs/heads/')
            tail = rest.partition(b'"')[2]
            with pytest.raises(SpecError):
                trigger.read(push.headers, replace(push, body=head + b'"' + wrong + b'"' + tail).body)


def _without(headers: Mapping[str, str], names: list[str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in names}
