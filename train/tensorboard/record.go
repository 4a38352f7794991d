package tensorboard

import (
	"encoding/binary"
	"hash/crc32"
	"io"
)

const (
	maskDelta  = 0xa282ead8
	headerSize = 12 // length (8), its checksum (4)
)

// frame writes data as one record: length, checksum of the length, data,
// checksum of the data; all numbers little-endian.
func frame(w io.Writer, data []byte) error {
	table := crc32.MakeTable(crc32.Castagnoli) // cached by the standard library
	rec := make([]byte, 0, headerSize+len(data)+4)
	rec = binary.LittleEndian.AppendUint64(rec, uint64(len(data)))
	rec = binary.LittleEndian.AppendUint32(rec, mask(crc32.Checksum(rec, table)))
	rec = append(rec, data...)
	rec = binary.LittleEndian.AppendUint32(rec, mask(crc32.Checksum(data, table)))
	_, err := w.Write(rec)
	return err
}

// mask rotates a checksum and adds a constant, so that the checksum of data that
// itself contains checksums stays strong.
func mask(crc uint32) uint32 { return (crc>>15 | crc<<17) + maskDelta }
