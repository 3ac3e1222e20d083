package kubeconfig

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func replaceWith(content string) func([]byte) ([]byte, error) {
	return func([]byte) ([]byte, error) { return []byte(content), nil }
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestUpdate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "config")
	ctx := t.Context()
	if backup, err := Update(ctx, path, replaceWith("one")); err != nil || backup != "" {
		t.Fatalf("a new file: %q, %v", backup, err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	backup, err := Update(ctx, path, replaceWith("two"))
	if err != nil || read(t, backup) != "one" || read(t, path) != "two" {
		t.Fatalf("written over: backup %q, %v", backup, err)
	}
	for _, f := range []string{path, backup} {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode of %s: %v, %v", f, info.Mode(), err)
		}
	}
	if backup, err := Update(ctx, path, replaceWith("two")); err != nil || backup != "" {
		t.Errorf("nothing to change: backup %q, %v", backup, err)
	}
	if _, err := Update(ctx, path, func([]byte) ([]byte, error) { return nil, errors.New("no") }); err == nil || read(t, path) != "two" {
		t.Errorf("a failing edit changed the file: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil || len(left) != 2 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestUpdateFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	if err := os.WriteFile(real, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	if _, err := Update(t.Context(), link, replaceWith("two")); err != nil || read(t, real) != "two" {
		t.Errorf("the file behind the link: %q, %v", read(t, real), err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", info, err)
	}
}

func TestUpdateWaitsForTheLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config")
	unlock, err := lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 3*lockPoll)
	defer cancel()
	if _, err := Update(short, path, replaceWith("x")); err == nil || !strings.Contains(err.Error(), ".lock") {
		t.Errorf("with the lock held: %v", err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := Update(t.Context(), path, replaceWith("x"))
		done <- err
	}()
	unlock()
	select {
	case err := <-done:
		if err != nil || read(t, path) != "x" {
			t.Errorf("after the lock was given up: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the lock was given up, and nothing happened")
	}
}
