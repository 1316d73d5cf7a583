"""Messages of protocols that nobody publishes generated code for, declared to protobuf itself.

Prometheus' remote write needs four of its messages and OTLP's errors need one of Google's: to
declare their fields here keeps the decoding in protobuf's own parser, without a generated file
and without a parser of ours.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

#: Message → (field, number, type or message, repeated).
_MESSAGES: Final = {
    "Label": [("name", 1, "string", False), ("value", 2, "string", False)],
    "Sample": [("value", 1, "double", False), ("timestamp", 2, "int64", False)],
    "TimeSeries": [("labels", 1, "Label", True), ("samples", 2, "Sample", True)],
    "WriteRequest": [("timeseries", 1, "TimeSeries", True)],
    "Status": [("code", 1, "int32", False), ("message", 2, "string", False)],
}


@cache
def message(name: str) -> type[Any]:
    """The class of a message above; its instances parse and serialize as generated ones do."""
    pool = DescriptorPool()
    pool.Add(_file())
    made: type[Any] = GetMessageClass(pool.FindMessageTypeByName(f"carbon.{name}"))
    return made


def _file() -> FileDescriptorProto:
    file = FileDescriptorProto(name="carbon.proto", package="carbon", syntax="proto3")
    for name, fields in _MESSAGES.items():
        made: DescriptorProto = file.message_type.add(name=name)
        for field, number, kind, is_repeated in fields:
            added = made.field.add(name=field, number=number)
            added.label = (
                FieldDescriptorProto.LABEL_REPEATED
                if is_repeated
                else FieldDescriptorProto.LABEL_OPTIONAL
            )
            if kind in _MESSAGES:
                added.type = FieldDescriptorProto.TYPE_MESSAGE
                added.type_name = f".carbon.{kind}"
            else:
                added.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")
    return file
