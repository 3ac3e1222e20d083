package record

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hanse-dev/hanse/internal/flight"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
)

// Difference is where this program decides otherwise than the one that made the recording.
type Difference struct {
	At     time.Time `json:"at"`
	Object string    `json:"object"`
	Cause  string    `json:"cause"`
	// Recorded is what was decided then, nil: nothing new. Now is what would be decided now, nil: nothing new.
	Recorded *Outcome `json:"recorded,omitempty"`
	Now      *Outcome `json:"now,omitempty"`
}

// Replayed is what came of a replay.
type Replayed struct {
	From, To    time.Time
	Runs        int // of a hub
	Inputs      int
	Outcomes    int
	Gaps        int
	Differences []Difference
	// More is how many differences there are beyond those.
	More int
}

// shownDifferences bounds what is remembered of a recording that differs everywhere.
const shownDifferences = 1000

// Replay gives the inputs of a recording to a World of this program, at the times at which they came, and compares what it
// decides with what was decided then. It touches nothing, and ends early with ctx.
func Replay(ctx context.Context, path string) (Replayed, error) {
	p := &player{}
	err := flight.Read(path, func(rec flight.Record, first bool) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return p.play(rec)
	})
	p.compare()
	return p.out, err
}

// player is a replay that is under way.
type player struct {
	out     Replayed
	world   *decide.World // nil: a checkpoint is awaited
	decoder *decoder
	last    map[string]uint64 // fingerprints of the last outcomes, as those of the recorder
	rebuilt bool              // checkpoints are being applied

	at       time.Time
	cause    string
	recorded []Outcome
	now      []Outcome
}

func (p *player) play(rec flight.Record) error {
	if p.out.From.IsZero() {
		p.out.From = rec.At
	}
	p.out.To = rec.At
	switch rec.Kind {
	case kindRun:
		return p.begin(rec)
	case kindGap:
		p.compare()
		p.out.Gaps++
		p.world = nil
	case kindCheckpoint:
		if p.rebuilt {
			_, err := p.apply(rec)
			return err
		}
	case kindInput:
		return p.input(rec)
	case kindOutcome:
		if p.world == nil {
			return nil
		}
		entry, err := readEntry(rec)
		if err != nil {
			return err
		}
		p.recorded = append(p.recorded, *entry.Outcome)
	}
	return nil
}

// begin is for the beginning of a segment: of a run of the hub, or of one that goes on.
func (p *player) begin(rec flight.Record) error {
	p.compare()
	var o run
	if err := json.Unmarshal(rec.Payload, &o); err != nil {
		return fmt.Errorf("the options of a recording: %w", err)
	}
	if p.rebuilt = p.world == nil || !o.Continues; p.rebuilt {
		p.world, p.decoder, p.last = decide.NewWorld(o.Options), newDecoder(), map[string]uint64{}
	} else {
		p.world.Checkpoint() // as it was done then: it forgets what it has worked out
	}
	if !o.Continues {
		p.out.Runs++
	}
	return nil
}

func (p *player) apply(rec flight.Record) ([]decide.Effect, error) {
	in, err := p.decoder.decode(rec.Payload)
	if err != nil {
		return nil, err
	}
	p.cause = CauseOf(in)
	effects := p.world.Apply(in, rec.At)
	for _, e := range effects {
		if publish, ok := e.(decide.Publish); ok {
			if err := p.decided(rec.At, publish); err != nil {
				return nil, err
			}
		}
	}
	return effects, nil
}

func (p *player) decided(at time.Time, publish decide.Publish) error {
	o := outcomeOf(at, p.cause, publish)
	print, err := o.fingerprint()
	if err != nil || print == p.last[o.Object] {
		return err
	}
	if p.last[o.Object] = print; o.Gone {
		delete(p.last, o.Object)
	}
	if !p.rebuilt {
		p.now = append(p.now, o)
	}
	return nil
}

func (p *player) input(rec flight.Record) error {
	if p.world == nil {
		return nil // it cannot be understood
	}
	p.compare()
	p.rebuilt = false
	p.out.Inputs++
	p.at = rec.At
	_, err := p.apply(rec)
	return err
}

// compare compares what was decided upon the last input with what is decided now.
func (p *player) compare() {
	recorded := map[string]*Outcome{}
	for i := range p.recorded {
		recorded[p.recorded[i].Object] = &p.recorded[i]
	}
	p.out.Outcomes += len(p.recorded)
	for i := range p.now {
		now := &p.now[i]
		then := recorded[now.Object]
		delete(recorded, now.Object)
		if then == nil || !same(then, now) {
			p.differ(Difference{At: p.at, Object: now.Object, Cause: p.cause, Recorded: then, Now: now})
		}
	}
	for i := range p.recorded {
		if then := &p.recorded[i]; recorded[then.Object] != nil {
			p.differ(Difference{At: p.at, Object: then.Object, Cause: p.cause, Recorded: then})
		}
	}
	p.recorded, p.now = nil, nil
}

func (p *player) differ(d Difference) {
	if len(p.out.Differences) == shownDifferences {
		p.out.More++
		return
	}
	p.out.Differences = append(p.out.Differences, d)
}

// same says whether two outcomes place an object alike.
func same(a, b *Outcome) bool {
	x, errA := a.fingerprint()
	y, errB := b.fingerprint()
	return errA == nil && errB == nil && x == y
}
