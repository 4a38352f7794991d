// Package tensorboard writes scalars as TensorBoard event files.
//
// The central type is [Writer]; one is made per start of a run. An event file is
// never appended to: a resumed run begins a new file beside the old ones, whose
// name sorts after theirs, with an event that makes TensorBoard drop what the
// run before had recorded at or after the step at which this one begins. A
// record that a kill cut short ends only its own file.
//
// Reading order: writer.go (files and events), proto.go (the three messages that
// are needed, in the wire format of Protocol Buffers), record.go (the framing:
// length, masked CRC-32C, data, masked CRC-32C).
//
// Sources: the messages are Event, Summary and SessionLog of TensorFlow's
// event.proto and summary.proto, the framing is that of its TFRecord files.
//
// Promise: with the same clock and the same calls, the same bytes.
package tensorboard
