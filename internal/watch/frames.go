package watch

import (
	"encoding/binary"
	"io"
	"slices"

	"github.com/hanse-dev/hanse/internal/limits"
)

// frames parts the body of a watch into events: JSON objects that follow one another, or, in binary, what has its length in
// four bytes before it. While nothing comes it has no buffer, and none that is larger than an event may be.
type frames struct {
	body  io.Reader
	limit int
	what  string // for errors

	idle     [64]byte // is read into while there is no buffer
	buffer   []byte
	begin    int // of the event that comes next
	scanned  int // up to there it has no end
	splitter limits.Splitter
	binary   bool
	known    bool // whether it is binary
}

// firstBuffer holds most events.
const firstBuffer = 4 << 10

// next is the next event; it is good until next is called again.
func (f *frames) next() ([]byte, error) {
	for {
		frame, size := f.take()
		switch {
		case size > f.limit:
			return nil, &limits.TooLarge{What: f.what, Limit: int64(f.limit)}
		case frame != nil:
			return frame, nil
		}
		if err := f.read(); err != nil {
			return nil, err
		}
	}
}

// take is what of the buffer is a whole event, or nil; size is how large it is at least.
func (f *frames) take() (frame []byte, size int) {
	if !f.known && len(f.buffer) > 0 {
		// A length has a zero byte first, as no event is that large, and no JSON has.
		f.binary, f.known = f.buffer[0] == 0, true
	}
	if f.binary {
		rest := f.buffer[f.begin:]
		if len(rest) < 4 {
			return nil, 0
		}
		size = int(binary.BigEndian.Uint32(rest))
		if len(rest)-4 < size {
			return nil, size
		}
		f.begin += 4 + size
		return rest[4 : 4+size], size
	}
	taken, ends := f.splitter.Next(f.buffer[f.scanned:])
	if f.scanned += taken; ends {
		frame = f.buffer[f.begin:f.scanned]
		f.begin = f.scanned
		return frame, len(frame)
	}
	return nil, f.scanned - f.begin
}

// read blocks until there is more. What has been taken is let go of.
func (f *frames) read() error {
	f.buffer = f.buffer[f.begin:]
	f.scanned, f.begin = max(0, f.scanned-f.begin), 0
	if !f.binary && f.splitter == (limits.Splitter{}) && blank(f.buffer) {
		f.buffer = f.buffer[:0] // the end of a line, between events
	}
	if len(f.buffer) == 0 {
		f.buffer, f.scanned = nil, 0
		n, err := f.body.Read(f.idle[:])
		if n > 0 {
			f.buffer = append(make([]byte, 0, firstBuffer), f.idle[:n]...)
			err = nil
		}
		return err
	}
	if len(f.buffer) == cap(f.buffer) {
		f.buffer = slices.Grow(f.buffer, max(firstBuffer, len(f.buffer)))
	}
	n, err := f.body.Read(f.buffer[len(f.buffer):cap(f.buffer)])
	f.buffer = f.buffer[:len(f.buffer)+n]
	switch {
	case n > 0:
		return nil
	case err == io.EOF:
		return io.ErrUnexpectedEOF // within an event
	}
	return err
}

// blank says whether there is nothing but white space.
func blank(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c != '\n' && c != ' ' && c != '\r' && c != '\t' })
}
