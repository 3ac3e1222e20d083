package geo

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestFollow(t *testing.T) {
	directory := t.TempDir()
	path := filepath.Join(directory, "db.mmdb")
	database := func(country string) []byte {
		return mmdb("Country-"+country, network{"1.0.0.0/8", city("EU", country, "")})
	}
	write(t, path, database("FR"))

	tick := make(chan time.Time)
	type event struct {
		db  *DB
		err error
	}
	events := make(chan event, 10)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		follow(ctx, path, tick, func(d *DB, err error) { events <- event{d, err} })
	}()
	// A tick is taken when what the one before it led to is done.
	ticks := func(n int) {
		for range n {
			tick <- time.Now()
		}
	}
	next := func() event {
		t.Helper()
		select {
		case e := <-events:
			return e
		case <-time.After(10 * time.Second):
			t.Fatal("nothing was loaded")
			return event{}
		}
	}
	is := func(e event, about string) {
		t.Helper()
		if e.err != nil || e.db.About() != about+" of 2026-06-01" {
			t.Fatalf("loaded %+v, %v, want %s", e.db, e.err, about)
		}
	}

	is(next(), "Country-FR")
	ticks(3)
	if len(events) != 0 {
		t.Error("loaded again what had not changed")
	}

	// Replaced atomically.
	if err := os.Rename(write(t, filepath.Join(directory, "new"), database("DE")), path); err != nil {
		t.Fatal(err)
	}
	ticks(3)
	is(next(), "Country-DE")

	// Broken.
	write(t, path, []byte("broken"))
	ticks(3)
	if e := next(); !errors.Is(e.err, errNotMMDB) || e.db != nil {
		t.Errorf("broken: %+v, %v", e.db, e.err)
	}

	// Being written: nobody reads the beginning.
	write(t, path, []byte("the beginning"))
	ticks(1)
	if err := os.Rename(write(t, filepath.Join(directory, "new"), database("IT")), path); err != nil {
		t.Fatal(err)
	}
	ticks(3)
	is(next(), "Country-IT")

	// Gone, and back.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	ticks(3)
	if e := next(); !errors.Is(e.err, os.ErrNotExist) {
		t.Errorf("gone: %v", e.err)
	}
	write(t, path, database("JP"))
	ticks(3)
	is(next(), "Country-JP")
	if len(events) != 0 {
		t.Error("loaded once too often")
	}

	cancel()
	<-done
}
