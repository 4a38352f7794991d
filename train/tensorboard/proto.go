package tensorboard

import (
	"encoding/binary"
	"math"
)

// Wire types of Protocol Buffers.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

// Field numbers in event.proto and summary.proto.
const (
	eventWallTime    = 1 // double, seconds since 1970
	eventStep        = 2 // int64
	eventFileVersion = 3 // string
	eventSummary     = 5 // Summary
	eventSessionLog  = 7 // SessionLog

	summaryValue     = 1 // repeated Value
	valueTag         = 1 // string
	valueSimpleValue = 2 // float

	sessionStatus = 1 // enum
	sessionStart  = 1 // its value START
)

// fileVersion is the first event of every file.
const fileVersion = "brain.Event:2"

func appendKey(b []byte, field, wire int) []byte {
	return binary.AppendUvarint(b, uint64(field)<<3|uint64(wire))
}

func appendBytes(b []byte, field int, data []byte) []byte {
	b = appendKey(b, field, wireBytes)
	b = binary.AppendUvarint(b, uint64(len(data)))
	return append(b, data...)
}

func appendVarint(b []byte, field int, v uint64) []byte {
	return binary.AppendUvarint(appendKey(b, field, wireVarint), v)
}

// event begins an Event message. seconds: since 1970.
func event(seconds float64, step int64) []byte {
	b := appendKey(nil, eventWallTime, wireFixed64)
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(seconds))
	if step != 0 { // zero is what an absent field means
		b = appendVarint(b, eventStep, uint64(step))
	}
	return b
}

// scalar gives a Summary.Value message.
func scalar(tag string, value float32) []byte {
	b := appendBytes(nil, valueTag, []byte(tag))
	b = appendKey(b, valueSimpleValue, wireFixed32)
	return binary.LittleEndian.AppendUint32(b, math.Float32bits(value))
}
