package flight

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Read calls do with each record of a ring's directory, or of one segment, the oldest first; first is true for the first of a
// segment. An error of do ends it and is returned. A segment that is deleted meanwhile, because the ring goes on, is
// passed over. It may be called while the ring is written.
func Read(path string, do func(rec Record, first bool) error) error {
	return ReadSince(path, time.Time{}, do)
}

// ReadSince is Read without the segments in which nothing was written since a time.
func ReadSince(path string, since time.Time, do func(rec Record, first bool) error) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read a flight recording: %w", err)
	}
	paths := []string{path}
	if info.IsDir() {
		names, err := segmentsIn(path)
		if err != nil {
			return err
		}
		paths = nil
		for _, name := range names {
			paths = append(paths, filepath.Join(path, name))
		}
	}
	for _, p := range paths {
		if last, err := os.Stat(p); err == nil && last.ModTime().Before(since) {
			continue
		}
		if err := readFile(p, do); err != nil && (!errors.Is(err, os.ErrNotExist) || !info.IsDir()) {
			return err
		}
	}
	return nil
}

func readFile(path string, do func(Record, bool) error) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read a flight recording: %w", err)
	}
	defer func() { _ = file.Close() }()
	if err := ReadSegment(file, do); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// ReadSegment is Read for the content of a segment. What is damaged, or was cut off, ends it without an error.
func ReadSegment(from io.Reader, do func(rec Record, first bool) error) error {
	in := bufio.NewReaderSize(from, 64<<10)
	begin := make([]byte, len(magic))
	if _, err := io.ReadFull(in, begin); err != nil {
		return nil // its writer had no time to begin
	}
	if string(begin) != magic {
		return fmt.Errorf("this is no flight recording, or one of another version of hanse")
	}
	for first := true; ; first = false {
		rec, ok := readFrame(in)
		if !ok {
			return nil
		}
		if err := do(rec, first); err != nil {
			return err
		}
	}
}

// readFrame is the next record; ok is false at the end, and where the frame is not as it was written.
func readFrame(in *bufio.Reader) (rec Record, ok bool) {
	size, err := binary.ReadUvarint(in)
	if err != nil || size > LargestPayload {
		return rec, false
	}
	nanos, err := binary.ReadVarint(in)
	if err != nil {
		return rec, false
	}
	if rec.Kind, err = in.ReadByte(); err != nil {
		return rec, false
	}
	var sum [4]byte
	if _, err := io.ReadFull(in, sum[:]); err != nil {
		return rec, false
	}
	// The size may be a lie: memory is taken as bytes arrive.
	payload, err := io.ReadAll(io.LimitReader(in, int64(size)))
	if err != nil || uint64(len(payload)) != size {
		return rec, false
	}
	head := binary.AppendUvarint(nil, size)
	head = append(binary.AppendVarint(head, nanos), rec.Kind)
	if crc32.Update(crc32.ChecksumIEEE(head), crc32.IEEETable, payload) != binary.LittleEndian.Uint32(sum[:]) {
		return rec, false
	}
	rec.At, rec.Payload = time.Unix(0, nanos).UTC(), payload
	return rec, true
}
