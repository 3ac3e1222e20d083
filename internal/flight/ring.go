package flight

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Record is one entry of a ring.
type Record struct {
	At      time.Time
	Kind    byte // what Payload is, to its writer
	Payload []byte
}

const (
	// magic begins each segment; the number is of the format.
	magic = "hanse-flight/1\n"
	// suffix of the names of segments, which are otherwise the number of their turn.
	suffix = ".flight"
	// LargestPayload bounds a record, in bytes: an object of the hub with its decision is far below.
	LargestPayload = 16 << 20
	// segments is how many a full ring has at least: so much of it, at most, goes at once.
	segments = 8
)

// Ring is a ring that is open for writing. Its methods may be called from any goroutine.
type Ring struct {
	dir     string
	bytes   int64 // that all segments may have
	segment int64 // that one may have

	mu      sync.Mutex
	file    *os.File
	buffer  *bufio.Writer
	written int64 // in file
	since   int64 // written since Next, without what it began with
	begun   int64 // what it began with
	head    []byte
}

// Open opens the ring in a directory, which it makes, and begins a segment. bytes bounds what all of its segments
// take. Nobody else may write into the directory.
func Open(dir string, bytes int64) (*Ring, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the flight recorder: %w", err)
	}
	r := &Ring{dir: dir, bytes: bytes, segment: max(bytes/segments, 1<<10), head: make([]byte, 0, 32)}
	return r, r.next()
}

// Full says whether it is time for Next: after half a segment, and as much as the last Next began with, so that no
// more than half of the ring is such beginnings.
func (r *Ring) Full() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.since > max(r.segment/2, r.begun)
}

// Next begins a segment with records without which what follows could not be understood when the segments before are
// gone. Without it one is begun when the last has as many bytes as it may have.
func (r *Ring) Next(begin []Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return os.ErrClosed
	}
	if err := r.next(); err != nil {
		return err
	}
	r.since = 0
	for _, rec := range begin {
		if err := r.append(rec); err != nil {
			return err
		}
	}
	r.begun, r.since = r.since, 0
	return nil
}

// next ends the segment that is written and begins another; the oldest go as far as there would be no room for it.
func (r *Ring) next() error {
	if err := r.end(); err != nil {
		return err
	}
	names, err := segmentsIn(r.dir)
	if err != nil {
		return err
	}
	turn := uint64(1)
	if len(names) > 0 {
		last, err := turnOf(names[len(names)-1])
		if err != nil {
			return err
		}
		turn = last + 1
	}
	if err := r.makeRoom(names); err != nil {
		return err
	}
	path := filepath.Join(r.dir, fmt.Sprintf("%012d%s", turn, suffix))
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("begin a segment of the flight recorder: %w", err)
	}
	r.file, r.buffer, r.written = file, bufio.NewWriterSize(file, 64<<10), int64(len(magic))
	if _, err := r.buffer.WriteString(magic); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// makeRoom deletes the oldest of segments until there is room for one more.
func (r *Ring) makeRoom(names []string) error {
	var total int64
	sizes := make([]int64, len(names))
	for i, name := range names {
		info, err := os.Stat(filepath.Join(r.dir, name))
		if err != nil {
			return fmt.Errorf("look at the flight recorder: %w", err)
		}
		sizes[i] = info.Size()
		total += sizes[i]
	}
	for i, name := range names {
		if total+r.segment <= r.bytes {
			break
		}
		if err := os.Remove(filepath.Join(r.dir, name)); err != nil {
			return fmt.Errorf("make room in the flight recorder: %w", err)
		}
		total -= sizes[i]
	}
	return nil
}

// Append adds a record. It may write to the disk; what it has not written yet is lost with the process: see Flush.
func (r *Ring) Append(rec Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return os.ErrClosed
	}
	return r.append(rec)
}

func (r *Ring) append(rec Record) error {
	if len(rec.Payload) > LargestPayload {
		return fmt.Errorf("a record of %d bytes is larger than %d", len(rec.Payload), LargestPayload)
	}
	if r.written > int64(len(magic)) && r.written+frameSize(rec) > r.segment {
		if err := r.next(); err != nil {
			return err
		}
	}
	return r.write(rec)
}

// frameSize is about how many bytes a record takes.
func frameSize(rec Record) int64 { return int64(len(rec.Payload)) + 24 }

func (r *Ring) write(rec Record) error {
	head := binary.AppendUvarint(r.head[:0], uint64(len(rec.Payload)))
	head = binary.AppendVarint(head, rec.At.UnixNano())
	head = append(head, rec.Kind)
	sum := crc32.Update(crc32.ChecksumIEEE(head), crc32.IEEETable, rec.Payload)
	head = binary.LittleEndian.AppendUint32(head, sum)
	for _, part := range [][]byte{head, rec.Payload} {
		if _, err := r.buffer.Write(part); err != nil {
			return fmt.Errorf("write to the flight recorder: %w", err)
		}
	}
	r.written += int64(len(head) + len(rec.Payload))
	r.since += int64(len(head) + len(rec.Payload))
	return nil
}

// Recover begins a segment after an error: what was not written of the one before is given up.
func (r *Ring) Recover() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file != nil {
		_ = r.file.Close()
		r.file = nil
	}
	return r.next()
}

// Flush hands what was appended to the operating system, where it outlives the process.
func (r *Ring) Flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return os.ErrClosed
	}
	return r.buffer.Flush()
}

// Close flushes and closes the ring.
func (r *Ring) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.end()
}

func (r *Ring) end() error {
	if r.file == nil {
		return nil
	}
	err := errors.Join(r.buffer.Flush(), r.file.Close())
	r.file = nil
	if err != nil {
		return fmt.Errorf("end a segment of the flight recorder: %w", err)
	}
	return nil
}

// segmentsIn is the names of the segments in a directory, the oldest first.
func segmentsIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the directory of the flight recorder: %w", err)
	}
	var names []string
	for _, e := range entries {
		if _, err := turnOf(e.Name()); err == nil && e.Type().IsRegular() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

func turnOf(name string) (turn uint64, err error) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != 12 {
		return 0, fmt.Errorf("%s is no segment", name)
	}
	if _, err := fmt.Sscanf(digits, "%d", &turn); err != nil {
		return 0, fmt.Errorf("%s is no segment", name)
	}
	return turn, nil
}
