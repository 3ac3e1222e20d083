package agenda

import (
	"maps"
	"slices"

	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Work is what is to be done about an object that something else than itself has changed for.
type Work struct {
	Match  bool // its policy may be another
	Decide bool // what clusters are like is
	Look   bool // what members show is
}

// Backlog is the objects that wait for that, in order. Those that are urgent go first. The zero Backlog is empty.
type Backlog struct {
	urgent, others []template.Key // may name objects that do not wait any more
	what           map[template.Key]Work
}

// Some says whether anything waits.
func (b *Backlog) Some() bool { return len(b.what) > 0 }

// Clone is a copy, which may be changed without b.
func (b *Backlog) Clone() Backlog {
	return Backlog{slices.Clone(b.urgent), slices.Clone(b.others), maps.Clone(b.what)}
}

// Add puts keys on the backlog. What waits for something already waits for both.
func (b *Backlog) Add(keys []template.Key, add Work) {
	if b.what == nil {
		b.what = make(map[template.Key]Work, len(keys))
	}
	for _, key := range keys {
		was, waits := b.what[key]
		if !waits {
			b.others = append(b.others, key)
		}
		b.what[key] = Work{was.Match || add.Match, was.Decide || add.Decide, was.Look || add.Look}
	}
}

// Hurry is Add for what goes before all else.
func (b *Backlog) Hurry(keys []template.Key, add Work) {
	b.Add(keys, add)
	b.urgent = append(b.urgent, keys...)
}

// Take takes what is next; ok is false if nothing waits.
func (b *Backlog) Take() (key template.Key, what Work, ok bool) {
	for _, queue := range []*[]template.Key{&b.urgent, &b.others} {
		for len(*queue) > 0 {
			key = (*queue)[0]
			*queue = (*queue)[1:]
			if what, ok = b.TakeOf(key); ok {
				return key, what, true
			}
		}
		*queue = nil
	}
	return template.Key{}, Work{}, false
}

// TakeOf takes what waits for one object.
func (b *Backlog) TakeOf(key template.Key) (what Work, ok bool) {
	if what, ok = b.what[key]; ok {
		delete(b.what, key)
	}
	return what, ok
}
