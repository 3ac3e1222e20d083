package record

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/hanse-dev/hanse/internal/flight"
	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

const (
	// DefaultBytes is how much of the disk a recording takes at most.
	DefaultBytes = 256 << 20
	// waiting is how many inputs may wait to be written. What comes beyond is left out, and that is recorded.
	waiting = 32768
	// flushEvery is how much of a recording a crash of the machine or the process may cost.
	flushEvery = time.Second
)

// Recorder writes a recording. Whoever decides or writes to members never waits for it.
type Recorder struct {
	ring    *flight.Ring
	clock   clock.WithTicker
	items   chan item
	missed  atomic.Int64
	rotate  atomic.Bool // a checkpoint is wanted
	options decide.Options

	// Run alone uses these: fingerprints of the last outcomes by object, whether a checkpoint is on its way, and how many could not be
	// written.
	last    map[string]uint64
	encoder *encoder
	asked   bool
	lost    int64
}

// item is what is to be recorded.
type item struct {
	at         time.Time
	in         decide.Input
	effects    []decide.Effect
	checkpoint []decide.Input // that rebuilds the World as it is after in; nil: none was asked for
	write      *Write
	missed     int64 // how many were left out before it, because they came too fast
}

// run is how a segment begins: a World with these options, or one that Continues from the segment before.
type run struct {
	Options   decide.Options
	Continues bool
}

// Open opens the recording in a directory, of at most that many bytes, for a World with these options.
func Open(dir string, bytes int64, options decide.Options, clock clock.WithTicker) (*Recorder, error) {
	ring, err := flight.Open(dir, bytes)
	if err != nil {
		return nil, err
	}
	r := &Recorder{ring: ring, clock: clock, items: make(chan item, waiting), options: options, last: map[string]uint64{}, encoder: newEncoder()}
	return r, r.begin(nil)
}

// Trace records an input and what followed. It does not block. checkpoint is called, before it returns, when the next segment is to
// begin; it may say nil, and is called again with the next input then.
func (r *Recorder) Trace(at time.Time, in decide.Input, effects []decide.Effect, checkpoint func() []decide.Input) {
	next := item{at: at, in: in, effects: effects}
	if r.rotate.CompareAndSwap(true, false) {
		if next.checkpoint = checkpoint(); next.checkpoint == nil {
			r.rotate.Store(true) // not now
		}
	}
	r.put(next)
}

// Wrote records a request to a member; auditID is that of the request at the hub that led to it, empty if none did. It does not block. Of an error about a Secret or ConfigMap nothing but its reason is
// kept: the text may quote what is in it.
func (r *Recorder) Wrote(cluster string, key template.Key, verb, auditID string, err error) {
	w := &Write{At: r.clock.Now().UTC(), Object: key.String(), Cluster: cluster, Verb: verb, AuditID: auditID}
	if err != nil {
		w.Error = err.Error()
		if r := key.GR.Resource; key.GR.Group == "" && (r == "secrets" || r == "configmaps") {
			w.Error = cmp.Or(string(apierrors.ReasonForError(err)), "failed")
		}
	}
	r.put(item{at: w.At, write: w})
}

func (r *Recorder) put(i item) {
	i.missed = r.missed.Swap(0)
	select {
	case r.items <- i:
	default:
		r.missed.Add(i.missed + 1)
		r.rotate.Store(true) // what follows can only be understood from a checkpoint on
	}
}

// Run writes until ctx ends, and closes the recording. What cannot be written, as on a full disk, is said in the log once, and
// left out; it is tried again from time to time.
func (r *Recorder) Run(ctx context.Context) {
	log := klog.FromContext(ctx)
	ticker := r.clock.NewTicker(flushEvery)
	defer ticker.Stop()
	failing := false
	for {
		var err error
		select {
		case <-ctx.Done():
			r.drain()
			if err := r.ring.Close(); err != nil {
				log.Error(err, "The flight recorder could not be closed")
			}
			return
		case i := <-r.items:
			if failing {
				r.lost += 1 + i.missed
				continue
			}
			err = r.write(i)
		case <-ticker.C():
			if failing {
				failing = !r.recovered(log)
				continue
			}
			err = r.ring.Flush()
		}
		if err != nil {
			failing = true
			r.lost++
			log.Error(err, "The flight recorder cannot write; what is decided is not recorded until it can. Try: make room on its disk")
		}
	}
}

// recovered says whether it can be written again. What follows is understood from the next checkpoint on.
func (r *Recorder) recovered(log klog.Logger) bool {
	if err := errors.Join(r.ring.Recover(), r.ring.Flush()); err != nil {
		return false
	}
	r.asked = true
	r.rotate.Store(true)
	log.Info("The flight recorder can write again")
	return true
}

// drain writes what waits already.
func (r *Recorder) drain() {
	for {
		select {
		case i := <-r.items:
			if r.write(i) != nil {
				return
			}
		default:
			return
		}
	}
}

func (r *Recorder) write(i item) error {
	if n := r.lost + i.missed; n > 0 {
		if err := r.append(i.at, kindGap, n); err != nil {
			return err
		}
		r.lost = 0
	}
	if i.write != nil {
		return r.append(i.at, kindWrite, i.write)
	}
	encoded, err := r.encoder.encode(i.in)
	if err != nil {
		return err
	}
	if err := r.ring.Append(flight.Record{At: i.at, Kind: kindInput, Payload: encoded}); err != nil {
		return err
	}
	for _, e := range i.effects {
		if p, ok := e.(decide.Publish); ok {
			if err := r.outcome(i, p); err != nil {
				return err
			}
		}
	}
	if i.checkpoint != nil {
		r.asked = false
		return r.begin(&i)
	}
	if !r.asked && r.ring.Full() {
		r.asked = true
		r.rotate.Store(true)
	}
	return nil
}

// outcome records what was decided about an object, if that is something else than before.
func (r *Recorder) outcome(i item, p decide.Publish) error {
	o := outcomeOf(i.at, "", p)
	lasting, print, err := o.lasting()
	if err != nil || print == r.last[o.Object] {
		return err
	}
	if r.last[o.Object] = print; o.Gone {
		delete(r.last, o.Object)
	}
	o.Cause = CauseOf(i.in)
	encoded, err := o.encode(lasting)
	if err != nil {
		return err
	}
	return r.ring.Append(flight.Record{At: i.at, Kind: kindOutcome, Payload: encoded})
}

// begin begins a segment, with a checkpoint if there is one.
func (r *Recorder) begin(i *item) error {
	options, err := json.Marshal(run{r.options, i != nil})
	if err != nil {
		return fmt.Errorf("encode the options of a recording: %w", err)
	}
	begin := []flight.Record{{At: r.clock.Now(), Kind: kindRun, Payload: options}}
	if i == nil {
		return r.ring.Append(begin[0])
	}
	r.encoder = newEncoder()
	for _, in := range i.checkpoint {
		encoded, err := r.encoder.encode(in)
		if err != nil {
			return err
		}
		begin = append(begin, flight.Record{At: i.at, Kind: kindCheckpoint, Payload: encoded})
	}
	return r.ring.Next(begin)
}

func (r *Recorder) append(at time.Time, kind byte, v any) error {
	encoded, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode a record: %w", err)
	}
	return r.ring.Append(flight.Record{At: at, Kind: kind, Payload: encoded})
}
