package kubeconfig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// lockPoll is how often a lock that another program holds is tried again.
const lockPoll = 20 * time.Millisecond

// Update lets edit turn the contents of the file (nil if there is none) into
// new ones, under the lock that kubectl and client-go take, and writes them
// atomically with mode 0600. The old contents stay in FILE.bak, whose path is
// returned; it is empty when nothing was written over. It waits for the lock
// until ctx ends. If edit fails, or changes nothing, the file is not touched.
func Update(ctx context.Context, path string, edit func(old []byte) ([]byte, error)) (backup string, err error) {
	path, err = target(path)
	if err != nil {
		return "", err
	}
	unlock, err := lock(ctx, path)
	if err != nil {
		return "", err
	}
	defer unlock()

	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("cannot read the kubeconfig: %w", err)
	}
	updated, err := edit(old)
	if err != nil {
		return "", err
	}
	if bytes.Equal(old, updated) {
		return "", nil
	}
	if len(old) > 0 {
		backup = path + ".bak"
		if err := replace(backup, old); err != nil {
			return "", fmt.Errorf("cannot back up the kubeconfig: %w", err)
		}
	}
	if err := replace(path, updated); err != nil {
		return "", fmt.Errorf("cannot write the kubeconfig: %w", err)
	}
	return backup, nil
}

// target is the file that path means: where it leads to if it is a symbolic
// link, since replacing the link would detach it from what it is linked to.
func target(path string) (string, error) {
	resolved, err := filepath.EvalSymlinks(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path, nil
	case err != nil:
		return "", fmt.Errorf("cannot find the kubeconfig: %w", err)
	}
	return resolved, nil
}

// lock takes client-go's lock on a kubeconfig: a file beside it.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the kubeconfig's directory: %w", err)
	}
	name := path + ".lock"
	for {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL, 0)
		if err == nil {
			_ = f.Close() // nothing was written
			return func() { _ = os.Remove(name) }, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("cannot lock the kubeconfig: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the kubeconfig %s is locked by another program. Try: again, or remove %s if none runs", path, name)
		case <-time.After(lockPoll):
		}
	}
}

// replace writes a file so that a reader sees the old contents or the new ones.
func replace(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp-") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // it is gone when the rename went well
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
