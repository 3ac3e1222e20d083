package record

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"

	"github.com/hanse-dev/hanse/internal/propagate/decide"
	"github.com/hanse-dev/hanse/internal/propagate/template"
)

// tape is a recorder that is written when its test says so.
type tape struct {
	*Recorder
	t   testing.TB
	d   *driver
	dir string
}

func newTape(t testing.TB, bytes int64) *tape {
	dir, d := t.TempDir(), newDriver(options)
	r, err := Open(dir, bytes, options, testclock.NewFakeClock(d.now))
	if err != nil {
		t.Fatal(err)
	}
	return &tape{r, t, d, dir}
}

func (p *tape) trace(inputs ...decide.Input) {
	for _, in := range inputs {
		p.Trace(p.d.now, in, p.d.apply(in), p.d.world.Checkpoint)
	}
}

// flush writes what waits.
func (p *tape) flush() {
	p.t.Helper()
	for len(p.items) > 0 {
		if err := p.write(<-p.items); err != nil {
			p.t.Fatal(err)
		}
	}
	if err := p.ring.Flush(); err != nil {
		p.t.Fatal(err)
	}
}

func (p *tape) begin() {
	p.trace(p.d.left...)
	for _, c := range clusters {
		p.trace(decide.ClusterWritten{Cluster: aCluster(c, 5)})
	}
	p.flush()
}

func web() template.Key { return template.Key{GR: deployments, Namespace: "shop", Name: "web"} }

// TestHistory is of one object, also when others change, by time and number.
func TestHistory(t *testing.T) {
	p := newTape(t, 1<<20)
	p.begin()
	start := p.d.now
	for n := range 6 {
		p.d.now = start.Add(time.Duration(n+1) * time.Minute)
		p.trace(p.d.written(p.d.manifest("Deployment", "web", n+3)), p.d.written(p.d.manifest("Deployment", "db", n+3)))
	}
	p.Wrote("aws", web(), "create", "an-id", errors.New("quota"))
	p.trace(decide.Deleted{Key: web()})
	p.flush()
	ask := func(q Query) []Entry {
		q.Key = web()
		entries, err := History(context.Background(), p.dir, q)
		if err != nil {
			t.Fatal(err)
		}
		return entries
	}
	all := ask(Query{})
	for _, e := range all {
		if e.Outcome != nil && e.Outcome.Object != web().String() {
			t.Errorf("%s is in the history of %s", e.Outcome.Object, web())
		}
	}
	if last := all[len(all)-1].Outcome; len(all) != 8 || last == nil || !last.Gone || last.Cause != "the object was deleted at the hub" {
		t.Fatalf("there are %d entries, the last is %+v", len(all), last)
	}
	if some := ask(Query{Limit: 1}); len(some) != 1 || some[0].Outcome == nil || !some[0].Outcome.Gone {
		t.Errorf("the newest is %+v", some)
	}
	if some := ask(Query{Since: start.Add(2 * time.Minute), Until: start.Add(3 * time.Minute)}); len(some) != 2 {
		t.Errorf("%d entries are of that time", len(some))
	}
	wrote := false
	for _, e := range all {
		wrote = wrote || e.Write != nil && *e.Write == Write{At: e.Write.At, Object: web().String(), Cluster: "aws", Verb: "create", AuditID: "an-id", Error: "quota"}
	}
	if !wrote {
		t.Errorf("the write is not in %+v", all)
	}
	then, err := Decided(context.Background(), p.dir, web(), start.Add(150*time.Second))
	if err != nil || then == nil || then.Decision.String() != "aws=1,azure=1,google=2" {
		t.Errorf("after two and a half minutes it was %+v, %v", then, err)
	}
	if before, err := Decided(context.Background(), p.dir, web(), start); before != nil || err != nil {
		t.Errorf("before there was one it was %+v, %v", before, err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := History(ended, p.dir, Query{Key: web()}); !errors.Is(err, context.Canceled) {
		t.Errorf("it is read on when nobody asks any more: %v", err)
	}
}

// TestWhatComesTooFastIsLeftOut, and is not compared; from the next checkpoint on all is.
func TestWhatComesTooFastIsLeftOut(t *testing.T) {
	const waiting = 256
	p := newTape(t, 64<<20)
	p.begin()
	p.items = make(chan item, waiting)
	for i := range waiting + 500 { // which nobody writes meanwhile
		p.d.now = p.d.now.Add(time.Millisecond)
		p.trace(p.d.written(p.d.manifest("Deployment", "web", i%7+1)))
	}
	p.flush()
	for n := range 5 {
		p.trace(p.d.written(p.d.manifest("Deployment", "db", n+1)))
		p.flush()
	}
	got, err := Replay(context.Background(), p.dir)
	if err != nil || got.Gaps != 1 || len(got.Differences) != 0 || got.Runs != 1 {
		t.Fatalf("%d gaps, %d runs, differences %+v, %v", got.Gaps, got.Runs, got.Differences, err)
	}
	if got.Inputs < waiting || got.Inputs >= waiting+520 {
		t.Errorf("%d inputs are replayed", got.Inputs)
	}
	then, err := Decided(context.Background(), p.dir, template.Key{GR: deployments, Namespace: "shop", Name: "db"}, p.d.now)
	if err != nil || then == nil || then.Decision.Divided == false {
		t.Errorf("after the gap %+v is known, %v", then, err)
	}
}

// TestARecordingBeginsAnywhere: the first segments are gone, and what is left can be replayed.
func TestARecordingBeginsAnywhere(t *testing.T) {
	p := newTape(t, 1<<20)
	p.begin()
	for i := range 1500 {
		p.d.now = p.d.now.Add(time.Millisecond)
		p.trace(p.d.written(p.d.manifest("Deployment", "web", i%7+1)))
		p.flush()
	}
	files, err := filepath.Glob(filepath.Join(p.dir, "*.flight"))
	if err != nil || len(files) < 3 {
		t.Fatalf("%v, %v", files, err)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "000000000001.flight")); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the first segment is still there: %v", err)
	}
	var size int64
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size > 1<<20 {
		t.Errorf("the recording has %d bytes", size)
	}
	got, err := Replay(context.Background(), p.dir)
	if err != nil || got.Inputs < 100 || got.Outcomes < 50 || len(got.Differences) != 0 {
		t.Errorf("%d inputs, %d outcomes, differences %+v, %v", got.Inputs, got.Outcomes, got.Differences, err)
	}
}

// TestADiskThatFailsIsTriedAgain: what was decided meanwhile is missing, and nobody waits.
func TestADiskThatFailsIsTriedAgain(t *testing.T) {
	p := newTape(t, 1<<20)
	p.begin()
	if err := p.ring.Close(); err != nil { // as when nothing can be written
		t.Fatal(err)
	}
	clock := p.clock.(*testclock.FakeClock)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { p.Run(ctx); close(ended) }()
	p.trace(p.d.written(p.d.manifest("Deployment", "web", 3)))
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !p.rotate.Load() {
		select {
		case <-deadline:
			t.Fatal("it is not tried again")
		case <-tick.C:
			clock.Step(flushEvery)
		}
	}
	p.trace(p.d.written(p.d.manifest("Deployment", "db", 3)), p.d.written(p.d.manifest("Deployment", "db", 4)))
	cancel()
	<-ended
	got, err := Replay(context.Background(), p.dir)
	if err != nil || got.Gaps != 1 || len(got.Differences) != 0 || got.Outcomes == 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// BenchmarkRecord is what a Deployment that is created and divided over 3 clusters costs to record: its writes at the hub, and for each
// cluster a request and three looks at it.
func BenchmarkRecord(b *testing.B) {
	p := newTape(b, 256<<20)
	p.begin()
	type traced struct {
		in      decide.Input
		effects []decide.Effect
	}
	var all []traced
	note := func(in decide.Input) { all = append(all, traced{in, p.d.apply(in)}) }
	note(p.d.written(p.d.manifest("Deployment", "web", 9)))
	a := p.d.assigned[web()]
	for _, ready := range []int{0, 1, 9} {
		for _, c := range clusters {
			seen := *seenOf(a, c, 9)
			seen.Status = map[string]any{"readyReplicas": int64(ready), "replicas": int64(3), "observedGeneration": int64(1)}
			note(decide.Seen{Cluster: c, Key: a.Key, Observed: &seen})
		}
		note(p.d.written(a.Object.DeepCopy())) // its status
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		for _, one := range all {
			p.Trace(p.d.now, one.in, one.effects, p.d.world.Checkpoint)
		}
		for _, c := range clusters {
			p.Wrote(c, a.Key, "create", "", nil)
		}
		for len(p.items) > 0 {
			if err := p.write(<-p.items); err != nil {
				b.Fatal(err)
			}
		}
	}
}
