"""Checks of each row as it is read: those a recipe lists under `validators`.

A row that does not pass goes to the ledger; nothing is only sampled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fovea.errors import ConfigError, DataError
from fovea.synth.sample import Sample

Validator = Mapping[str, Any]
TYPES: dict[str, type | tuple[type, ...]] = {
    "str": str, "string": str, "int": int, "integer": int, "float": (int, float),
    "number": (int, float), "bool": bool, "boolean": bool, "list": list, "array": list,
    "dict": dict, "object": dict, "bytes": (bytes, str),
}  # fmt: skip
ROLES = ("system", "user", "assistant")
MOST_TURNS = 100


def check_validators(validators: Sequence[Any]) -> None:
    """Refuse validators that are not known, before anything is read.

    Raises:
        ConfigError: what is wrong.
    """
    for validator in validators:
        kind = validator.get("type") if isinstance(validator, Mapping) else validator
        if kind not in VALIDATORS:
            raise ConfigError(
                f"validators knows no type '{kind}'. It knows: {', '.join(sorted(VALIDATORS))}."
            )
        for wanted in (validator.get("field_types") or {}).values():
            if str(wanted) not in TYPES:
                raise ConfigError(f"field_types knows no type '{wanted}': {', '.join(TYPES)}.")


def validate(sample: Sample, validator: Validator) -> None:
    """Hold a row to a validator.

    Raises:
        DataError: what it lacks.
    """
    VALIDATORS[validator["type"]](sample, validator)


def _required_fields(sample: Sample, validator: Validator) -> None:
    for name in validator.get("required_fields") or ():
        if sample.get(name) is None:
            raise DataError(f"the row has no field '{name}', which validators require.")
    for name, wanted in (validator.get("field_types") or {}).items():
        value = sample.get(name)
        is_flag = isinstance(value, bool) and str(wanted) not in ("bool", "boolean")
        if value is not None and (is_flag or not isinstance(value, TYPES[str(wanted)])):
            raise DataError(f"'{name}' must be of type {wanted}; found {value!r:.60}.")


def _swift_messages(sample: Sample, validator: Validator) -> None:
    messages = sample.get("messages")
    if not isinstance(messages, list):
        raise DataError(f"'messages' must be a list; found {messages!r:.60}.")
    _count(len(messages), "messages", validator)
    for number, message in enumerate(messages, start=1):
        role = message.get("role") if isinstance(message, Mapping) else None
        if role not in ROLES:
            raise DataError(
                f"message {number} has the role {role!r}; known are {', '.join(ROLES)}."
            )
        if message.get("content") is None:
            raise DataError(f"message {number} has no content.")


def _dj_conversation(sample: Sample, validator: Validator) -> None:
    for name in ("instruction", "query", "response"):
        if not isinstance(sample.get(name), str):
            raise DataError(f"'{name}' must be text; found {sample.get(name)!r:.60}.")
    if not isinstance(sample.get("system") or "", str):
        raise DataError(f"'system' must be text; found {sample['system']!r:.60}.")
    history = sample.get("history") or []
    if not isinstance(history, list):
        raise DataError(f"'history' must be a list of pairs; found {history!r:.60}.")
    _count(len(history) + 1, "turns", validator)
    for number, turn in enumerate(history, start=1):
        is_pair = isinstance(turn, list) and len(turn) == 2
        if not is_pair or not all(isinstance(said, str) for said in turn):
            raise DataError(
                f"turn {number} of 'history' must be a pair of texts; found {turn!r:.60}."
            )


def _count(found: int, what: str, validator: Validator) -> None:
    least, most = validator.get("min_turns", 1), validator.get("max_turns", MOST_TURNS)
    if not least <= found <= most:
        raise DataError(f"the row has {found} {what}; from {least} to {most} are wanted.")


VALIDATORS: Mapping[str, Callable[[Sample, Validator], None]] = {
    "required_fields": _required_fields,
    "swift_messages": _swift_messages,
    "dj_conversation": _dj_conversation,
}
