package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// state is what is remembered of a demo from before its first process is
// started until after its last one has ended.
type state struct {
	Clusters []string `json:"clusters"`
	Nodes    int      `json:"nodes"`
	Bare     bool     `json:"bare,omitempty"`
	// Made lists the directories that the demo made, the demo's own one last.
	Made []string `json:"made,omitempty"`
}

// readState returns nil if there is no demo in l.
func readState(l layout) (*state, error) {
	data, err := os.ReadFile(l.state())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read what is known of the demo: %w", err)
	}
	s := &state{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("%s is damaged (%w). Try: end the processes that use %s and remove it", l.state(), err, l)
	}
	return s, nil
}

func (s *state) write(l layout) error {
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("cannot note what the demo is: %w", err)
	}
	if err := os.WriteFile(l.state(), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("cannot note what the demo is: %w", err)
	}
	return nil
}

// fits says in one sentence why a demo that is there is not the one asked for.
func (s *state) fits(o Options) error {
	if slices.Equal(s.Clusters, o.Clusters) && s.Nodes == o.Nodes && s.Bare == o.Bare {
		return nil
	}
	flags := fmt.Sprintf("--clusters %s --nodes %d", strings.Join(s.Clusters, ","), s.Nodes)
	if s.Bare {
		flags += " --bare"
	}
	return fmt.Errorf("there is a demo in %s already, with %s. Try: the same, or --dir for another demo, or hanse demo down first", o.Dir, flags)
}

// makeDirs makes dir and what is missing above it, and returns what it made,
// outermost first.
func makeDirs(dir string) ([]string, error) {
	var missing []string
	for at := dir; ; at = filepath.Dir(at) {
		_, err := os.Stat(at)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			break // what else is wrong with it, MkdirAll says better
		}
		missing = append(missing, at)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the demo's directory: %w. Try: --dir", err)
	}
	slices.Reverse(missing)
	return missing, nil
}

// acquire makes sure that one command at a time changes the demo in l. The lock
// is on the directory itself and ends with the process.
func acquire(l layout) (release func(), err error) {
	f, err := os.Open(string(l))
	if err != nil {
		return nil, fmt.Errorf("cannot lock the demo's directory: %w. Try: --dir", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // it was only opened for the lock
		return nil, fmt.Errorf("another hanse demo is at work in %s. Try: again when it has finished, or --dir for another demo", l)
	}
	return func() { _ = f.Close() }, nil
}
