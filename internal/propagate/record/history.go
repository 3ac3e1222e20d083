package record

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/hanse-dev/hanse/internal/flight"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// Query asks what was decided about an object, and what was written where.
type Query struct {
	Key   template.Key
	Since time.Time
	Until time.Time // zero: now
	// Limit is how many entries are wanted at most: the newest.
	Limit int
}

// Entry is an Outcome or a Write.
type Entry struct {
	Outcome *Outcome `json:"outcome,omitempty"`
	Write   *Write   `json:"write,omitempty"`
}

// At is when it was.
func (e Entry) At() time.Time {
	if e.Outcome != nil {
		return e.Outcome.At
	}
	return e.Write.At
}

// History is what a recording has of an object, the oldest first. It reads the recording from its beginning, which
// blocks on the disk.
func History(ctx context.Context, path string, q Query) (entries []Entry, err error) {
	err = flight.Read(path, func(rec flight.Record, _ bool) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if rec.Kind != kindOutcome && rec.Kind != kindWrite || rec.At.Before(q.Since) || !q.Until.IsZero() && rec.At.After(q.Until) || !about(rec.Payload, q.Key) {
			return nil
		}
		entry, err := readEntry(rec)
		if err != nil {
			return err
		}
		entries = append(entries, entry)
		if len(entries) > 2*q.Limit && q.Limit > 0 {
			entries = slices.Clone(entries[len(entries)-q.Limit:])
		}
		return nil
	})
	if len(entries) > q.Limit && q.Limit > 0 {
		entries = entries[len(entries)-q.Limit:]
	}
	return entries, err
}

// Each calls do with everything that was decided and written since a time, the oldest first. It reads the part of the recording
// that is not older, which blocks on the disk.
func Each(ctx context.Context, path string, since time.Time, do func(Entry)) error {
	return flight.ReadSince(path, since, func(rec flight.Record, _ bool) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if rec.Kind != kindOutcome && rec.Kind != kindWrite || rec.At.Before(since) {
			return nil
		}
		entry, err := readEntry(rec)
		if err == nil {
			do(entry)
		}
		return err
	})
}

// Decided is what held for an object at a time: the last Outcome until then, nil if there is none.
func Decided(ctx context.Context, path string, key template.Key, at time.Time) (last *Outcome, err error) {
	err = flight.Read(path, func(rec flight.Record, _ bool) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if rec.Kind != kindOutcome || rec.At.After(at) || !about(rec.Payload, key) {
			return nil
		}
		entry, err := readEntry(rec)
		last = entry.Outcome
		return err
	})
	return last, err
}

func readEntry(rec flight.Record) (e Entry, err error) {
	if rec.Kind == kindWrite {
		e.Write = &Write{}
		err = json.Unmarshal(rec.Payload, e.Write)
	} else {
		e.Outcome = &Outcome{}
		err = json.Unmarshal(rec.Payload, e.Outcome)
	}
	if err != nil {
		return e, fmt.Errorf("a recorded entry: %w", err)
	}
	return e, nil
}
