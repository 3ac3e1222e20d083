package zone

import (
	"encoding/binary"

	"github.com/hanse-dev/hanse/internal/dns/geo"
	"github.com/hanse-dev/hanse/internal/dns/steer"
)

// memo finds what has been compiled already, for another Host or for the previous
// Snapshot, by everything that it depends on. A memo is made again for each
// Snapshot and takes over what it needs, so that nothing is kept for ever.
type memo struct {
	db       *geo.DB
	previous *memo
	steered  map[string]*steered
	tables   map[string]*table
	// rules numbers the contents of Rules, slices those that have been seen. They
	// are kept here, so that no other slice comes to be where one was.
	rules  map[string]uint64
	slices map[slice]numbered
	next   uint64
	key    []byte
}

// slice identifies a slice of Rules, which nobody changes.
type slice struct {
	first *steer.Rule
	count int
}

type numbered struct {
	number  uint64
	content string
}

func newMemo(previous *memo, db *geo.DB) *memo {
	m := &memo{db: db, tables: map[string]*table{}, rules: map[string]uint64{}, slices: map[slice]numbered{}}
	expected := 0
	if previous != nil && previous.db == db {
		m.previous, m.next = previous, previous.next
		expected = len(previous.steered)
	}
	m.steered = make(map[string]*steered, expected)
	return m
}

// places are those of the database.
func (m *memo) places() []geo.Place {
	if m.db == nil || len(m.db.Places()) == 0 {
		return make([]geo.Place, 1)
	}
	return m.db.Places()
}

// compile gives a Host's answers.
func (m *memo) compile(h *steer.Host, canAlias bool) *steered {
	key := m.decision(m.key[:0], h)
	decided := len(key)
	key = binary.BigEndian.AppendUint32(key, h.TTL)
	for i := range h.Clusters {
		c := &h.Clusters[i]
		key = appendText(key, c.Hostname)
		key = binary.AppendUvarint(key, uint64(len(c.Addresses)))
		for _, a := range c.Addresses {
			b := a.As16()
			key = append(key, b[:]...)
		}
	}
	key = appendBool(key, canAlias)
	m.key = key
	return recall(m, (*memo).ofSteered, key, func() *steered {
		return newSteered(h, m.table(h, key[:decided]), canAlias)
	})
}

func (m *memo) table(h *steer.Host, key []byte) *table {
	return recall(m, (*memo).ofTables, key, func() *table { return newTable(h, m.places()) })
}

func (m *memo) ofSteered() map[string]*steered { return m.steered }
func (m *memo) ofTables() map[string]*table    { return m.tables }

// recall finds a value in this memo, in the previous one, or makes it.
func recall[T any](m *memo, of func(*memo) map[string]T, key []byte, build func() T) T {
	if v, ok := of(m)[string(key)]; ok {
		return v
	}
	if m.previous != nil {
		if v, ok := of(m.previous)[string(key)]; ok {
			of(m)[string(key)] = v
			return v
		}
	}
	v := build()
	of(m)[string(key)] = v
	return v
}

// decision is everything that steer.Choose depends on.
func (m *memo) decision(key []byte, h *steer.Host) []byte {
	key = append(key, byte(h.Policy), byte(h.WhenAllDown))
	key = appendServing(key, h.Serving)
	switch h.Policy {
	case steer.Geography, steer.Latency:
		key = binary.AppendUvarint(key, m.number(h.Rules))
	case steer.Failover:
		key = appendTexts(key, h.Order)
	}
	key = appendTexts(key, h.Default)
	key = binary.AppendUvarint(key, uint64(len(h.Clusters)))
	for i := range h.Clusters {
		c := &h.Clusters[i]
		key = appendText(key, c.Name)
		key = appendBool(key, c.Up)
		key = appendBool(key, c.Reachable())
		if h.Policy == steer.Weighted {
			key = binary.AppendUvarint(key, uint64(c.Weight))
		}
	}
	return key
}

func appendServing(key []byte, s *steer.Serving) []byte {
	if s == nil {
		return append(key, 0)
	}
	key = binary.AppendUvarint(key, uint64(len(s.Terms))+1)
	for i := range s.Terms {
		rules := s.Terms[i].Rules
		key = binary.AppendUvarint(key, uint64(len(rules)))
		for j := range rules {
			key = appendTexts(appendTexts(appendTexts(key, rules[j].Continents), rules[j].Countries), rules[j].Clusters)
		}
	}
	return key
}

// number is the same for Rules that say the same.
func (m *memo) number(rules []steer.Rule) uint64 {
	at := slice{count: len(rules)}
	if len(rules) > 0 {
		at.first = &rules[0]
	}
	n, ok := m.slices[at]
	if ok {
		return n.number
	}
	if m.previous != nil {
		n, ok = m.previous.slices[at]
	}
	if !ok {
		n.content = content(rules)
		if m.previous != nil {
			n.number, ok = m.previous.rules[n.content]
		}
	}
	if own, found := m.rules[n.content]; found {
		n.number = own
	} else if !ok {
		m.next++
		n.number = m.next
	}
	m.rules[n.content] = n.number
	m.slices[at] = n
	return n.number
}

func content(rules []steer.Rule) string {
	var b []byte
	for i := range rules {
		r := &rules[i]
		b = appendText(appendText(appendText(b, r.From.Continent), r.From.Country), r.From.Subdivision)
		b = appendTexts(b, r.Clusters)
	}
	return string(b)
}

func appendTexts(b []byte, texts []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(texts)))
	for _, s := range texts {
		b = appendText(b, s)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendBool(b []byte, yes bool) []byte {
	if yes {
		return append(b, 1)
	}
	return append(b, 0)
}
