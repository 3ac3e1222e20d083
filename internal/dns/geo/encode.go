package geo

import (
	"bufio"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The compact format that the binary carries: the magic, and then, compressed by
// DEFLATE (RFC 1951), unsigned varints and strings (a length and the bytes):
//
//	about
//	the number of places without the zero Place; for each: continent, country, subdivision
//	for IPv4 and then IPv6:
//	  the number of ranges
//	  for each range but the first, how far it starts from the one before: the
//	    number of trailing zero bits, and what is left without its lowest bit,
//	    its upper and its lower half
//	  for each range its location
//
// It is a tenth of the size of the mmdb that it was made of.
const magic = "hanse-geo-1\n"

// Encode writes the database in the format that the binary carries, with another
// About.
func (d *DB) Encode(w io.Writer, about string) error {
	if _, err := io.WriteString(w, magic); err != nil {
		return err
	}
	compressed, err := flate.NewWriter(w, flate.BestCompression)
	if err != nil {
		return err
	}
	e := encoder{bufio.NewWriter(compressed)}
	e.text(about)
	e.number(uint64(len(d.places) - 1))
	for _, p := range d.places[1:] {
		e.text(p.Continent)
		e.text(p.Country)
		e.text(p.Subdivision)
	}
	e.ranges(len(d.v4.starts), func(i int) uint128 { return uint128{lo: uint64(d.v4.starts[i])} }, d.v4.locations)
	e.ranges(len(d.v6.starts), func(i int) uint128 { return d.v6.starts[i] }, d.v6.locations)
	return errors.Join(e.w.Flush(), compressed.Close())
}

// encoder leaves errors to Flush.
type encoder struct{ w *bufio.Writer }

func (e encoder) number(n uint64) {
	var b [binary.MaxVarintLen64]byte
	e.w.Write(b[:binary.PutUvarint(b[:], n)])
}

func (e encoder) text(s string) {
	e.number(uint64(len(s)))
	e.w.WriteString(s)
}

func (e encoder) ranges(n int, start func(int) uint128, locations []Location) {
	e.number(uint64(n))
	for i := 1; i < n; i++ {
		d := start(i).sub(start(i - 1))
		zeros := d.trailingZeros()
		d = d.shiftRight(zeros).shiftRight(1)
		e.number(uint64(zeros))
		e.number(d.hi)
		e.number(d.lo)
	}
	for _, l := range locations {
		e.number(uint64(l))
	}
}

var errEncoding = errors.New("not a table of this version")

// decode reads what Encode wrote.
func decode(r io.Reader) (*DB, error) {
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(r, head); err != nil || string(head) != magic {
		return nil, errEncoding
	}
	d := decoder{r: bufio.NewReaderSize(flate.NewReader(r), 1<<16)}
	about := d.text()
	b := newBuilder()
	for n := d.number(65535); n > 0 && d.err == nil; n-- {
		b.places = append(b.places, Place{d.text(), d.text(), d.text()})
	}
	d.ranges(&b.v4, 32, len(b.places))
	d.ranges(&b.v6, 128, len(b.places))
	if d.err != nil {
		return nil, fmt.Errorf("%w: %w", errEncoding, d.err)
	}
	return newDB(b, about), nil
}

// decoder keeps the first error, and reads zeros from then on.
type decoder struct {
	r   *bufio.Reader
	err error
}

var errRange = errors.New("a number is too large")

// number reads a number of at most limit.
func (d *decoder) number(limit uint64) uint64 {
	if d.err != nil {
		return 0
	}
	n, err := binary.ReadUvarint(d.r)
	if err == nil && n > limit {
		err = errRange
	}
	if err != nil {
		d.err = err
		return 0
	}
	return n
}

func (d *decoder) text() string {
	b := make([]byte, d.number(1<<10))
	if d.err == nil {
		_, d.err = io.ReadFull(d.r, b)
	}
	return string(b)
}

func (d *decoder) ranges(r *ranges, bits, places int) {
	n := int(d.number(1 << 22))
	if d.err != nil {
		return
	}
	r.starts = make([]uint128, n)
	for i := 1; i < n && d.err == nil; i++ {
		zeros := int(d.number(127))
		gap := uint128{hi: d.number(1<<64 - 1), lo: d.number(1<<64 - 1)}.shiftLeft(1)
		gap.lo |= 1
		r.starts[i] = r.starts[i-1].add(gap.shiftLeft(zeros))
		if !r.starts[i-1].less(r.starts[i]) || bits < 128 && !r.starts[i].less(power(bits)) {
			d.err = errOrder
		}
	}
	r.locations = make([]Location, n)
	for i := range r.locations {
		r.locations[i] = Location(d.number(uint64(places - 1)))
	}
}
