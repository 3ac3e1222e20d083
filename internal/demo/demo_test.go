package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
)

// fakeMembers fail to come up, as often as there is nothing else to test: a hub
// that works needs an API server.
type fakeMembers struct {
	mu    sync.Mutex
	calls []string
}

func (f *fakeMembers) note(what, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, what+" "+name)
}

func (f *fakeMembers) Up(_ context.Context, c Cluster) (string, error) {
	f.note("up", c.Name)
	return "", fmt.Errorf("no room for %s", c.Name)
}

func (f *fakeMembers) Running(string) bool { return false }

func (f *fakeMembers) Stop(_ context.Context, name string) error {
	f.note("stop", name)
	return nil
}

func (f *fakeMembers) Delete(_ context.Context, name string) error {
	f.note("delete", name)
	return nil
}

func noJoin(context.Context, *rest.Config, Cluster, string) error { return errors.New("not reached") }

func noProgress(string) func(error) { return func(error) {} }

// newTestDemo is a demo whose hub is a program that waits.
func newTestDemo(t *testing.T, dir string, m Members) *Demo {
	t.Helper()
	program := filepath.Join(t.TempDir(), "hub")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nexec sleep 60\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	d, err := New(Options{Dir: dir, Clusters: []string{"a", "b"}, Nodes: 1, Executable: program}, clock.RealClock{}, m, noJoin, noProgress)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestUpThatFailsLeavesNothing(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "deep", "er")
	m := &fakeMembers{}
	d := newTestDemo(t, dir, m)
	if _, err := d.Up(t.Context()); err == nil || !strings.Contains(err.Error(), "no room for") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(root, "deep")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something is left: %v", err)
	}
	if d.HubRunning() {
		t.Error("the hub still runs")
	}
	for _, want := range []string{"delete a", "delete b"} {
		if !slices.Contains(m.calls, want) {
			t.Errorf("no %q in %v", want, m.calls)
		}
	}
}

func TestUpThatFailsKeepsWhatWasThere(t *testing.T) {
	dir := t.TempDir()
	mine := filepath.Join(dir, "mine")
	if err := os.WriteFile(mine, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := newTestDemo(t, dir, &fakeMembers{}).Up(t.Context()); err == nil {
		t.Fatal("no error")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "mine" {
		t.Errorf("left: %v, %v", entries, err)
	}
}

// TestResumeThatFailsKeepsTheData: what an earlier demo made is only stopped.
func TestResumeThatFailsKeepsTheData(t *testing.T) {
	dir := t.TempDir()
	m := &fakeMembers{}
	d := newTestDemo(t, dir, m)
	if err := (&state{Clusters: []string{"a", "b"}, Nodes: 1}).write(d.at); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Up(t.Context()); err == nil {
		t.Fatal("no error")
	}
	if s, err := readState(d.at); s == nil || err != nil {
		t.Errorf("the demo is forgotten: %v", err)
	}
	if !slices.Contains(m.calls, "stop a") || slices.Contains(m.calls, "delete a") || d.HubRunning() {
		t.Errorf("calls %v, hub running %v", m.calls, d.HubRunning())
	}
}

func TestUpRefuses(t *testing.T) {
	t.Run("files of others", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "hub"), 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := newTestDemo(t, dir, &fakeMembers{}).Up(t.Context()); err == nil || !strings.Contains(err.Error(), "no demo made it") {
			t.Errorf("got %v", err)
		}
		if _, err := os.Stat(filepath.Join(dir, "hub")); err != nil {
			t.Errorf("it was removed: %v", err)
		}
	})
	t.Run("another demo", func(t *testing.T) {
		d := newTestDemo(t, t.TempDir(), &fakeMembers{})
		for flags, s := range map[string]*state{
			"--clusters z --nodes 1.":          {Clusters: []string{"z"}, Nodes: 1},
			"--clusters a,b --nodes 2.":        {Clusters: []string{"a", "b"}, Nodes: 2},
			"--clusters a,b --nodes 1 --bare.": {Clusters: []string{"a", "b"}, Nodes: 1, Bare: true},
		} {
			if err := s.write(d.at); err != nil {
				t.Fatal(err)
			}
			if _, err := d.Up(t.Context()); err == nil || !strings.Contains(err.Error(), flags) {
				t.Errorf("%s: got %v", flags, err)
			}
		}
	})
	t.Run("one at a time", func(t *testing.T) {
		d := newTestDemo(t, t.TempDir(), &fakeMembers{})
		release, err := acquire(d.at)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		if _, err := d.Up(t.Context()); err == nil || !strings.Contains(err.Error(), "at work") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("damaged", func(t *testing.T) {
		d := newTestDemo(t, t.TempDir(), &fakeMembers{})
		if err := os.WriteFile(d.at.state(), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Up(t.Context()); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("got %v", err)
		}
	})
}

func TestDownOfNothing(t *testing.T) {
	was, err := Down(t.Context(), t.TempDir(), &fakeMembers{}, noProgress)
	if was || err != nil {
		t.Errorf("was %v, %v", was, err)
	}
}

func TestInterruptedSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := newTestDemo(t, t.TempDir(), &fakeMembers{}).Up(ctx)
	if err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("got %v", err)
	}
}
