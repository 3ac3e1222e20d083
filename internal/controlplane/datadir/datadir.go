// Package datadir keeps a control plane's data directory: who owns it, the lock
// on it, the port it serves on, its certificates and the configuration files that
// the embedded servers read. It links no server, so it is quick to test.
package datadir

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"
)

// Dir is a data directory that this process has locked.
type Dir struct {
	path string
	lock *os.File
	// encryption is the file with the encryption keys; it is the directory's own unless somebody else's stands for it.
	encryption    string
	ownEncryption bool
	// keys is held by whoever reads or changes several of the files of Keys: a running hub renews certificates and follows others
	// at the same time.
	keys sync.Mutex
}

// Identity is what a data directory belongs to; it never changes.
type Identity struct {
	Role string `json:"role"`
	Name string `json:"name"`
}

const (
	lockFile     = "lock"
	identityFile = "identity.json"
	portFile     = "port"
	idFile       = "id"
)

// lockPatience is how long Open waits for the lock: a process that was killed a
// moment ago takes a while to give back its memory, and the lock goes after that.
const lockPatience = 5 * time.Second

// lockPoll is how often the lock is tried meanwhile.
const lockPoll = 20 * time.Millisecond

// Open creates the directory (mode 0700) if need be, locks it for the life of
// this process and checks that it belongs to id. The lock is the kernel's: it goes
// with the process, however that ends, so it can never be stale. It blocks for up
// to lockPatience, or until ctx ends, while another process has the lock.
func Open(ctx context.Context, path string, id Identity) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("finding the data directory: %w", err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, Explain(path, err)
	}
	lock, err := lockDir(ctx, path)
	if err != nil {
		return nil, err
	}
	d := &Dir{path: path, lock: lock, encryption: filepath.Join(path, encryptionFile), ownEncryption: true}
	if err := d.claim(id); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Close gives the lock back.
func (d *Dir) Close() error { return d.lock.Close() }

// Path joins names to the directory.
func (d *Dir) Path(names ...string) string {
	return filepath.Join(append([]string{d.path}, names...)...)
}

func lockDir(ctx context.Context, path string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(path, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, Explain(path, err)
	}
	if err := awaitLock(ctx, lock); err != nil {
		holder, _ := os.ReadFile(lock.Name())
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("the data directory %s is in use by process %s. Try: stop that process, or choose another directory",
				path, strings.TrimSpace(string(holder)))
		}
		return nil, fmt.Errorf("locking the data directory %s: %w", path, err)
	}
	// The number is for the message above only.
	if err := errors.Join(lock.Truncate(0), writeAt(lock, strconv.Itoa(os.Getpid())+"\n")); err != nil {
		_ = lock.Close()
		return nil, Explain(path, err)
	}
	return lock, nil
}

// awaitLock returns when the file is locked, or with EWOULDBLOCK when another
// process has had the lock all the time.
func awaitLock(ctx context.Context, lock *os.File) error {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	ticker := time.NewTicker(lockPoll)
	defer ticker.Stop()
	for {
		err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return err
		}
	}
}

func writeAt(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}

// claim writes id to a new directory and refuses one that belongs to another.
func (d *Dir) claim(id Identity) error {
	data, err := os.ReadFile(d.Path(identityFile))
	if errors.Is(err, fs.ErrNotExist) {
		data, err = json.Marshal(id)
		if err != nil {
			return err
		}
		return d.write(identityFile, data)
	}
	if err != nil {
		return Explain(d.path, err)
	}
	var owner Identity
	if err := json.Unmarshal(data, &owner); err != nil {
		return fmt.Errorf("%s is not readable: %w. Try: restore it, or choose another data directory", d.Path(identityFile), err)
	}
	if owner != id {
		return fmt.Errorf("the data directory %s belongs to the %s %q, not to the %s %q. Try: choose another directory",
			d.path, owner.Role, owner.Name, id.Role, id.Name)
	}
	return nil
}

// Port returns the port that SavePort remembered, 0 when there is none.
func (d *Dir) Port() (int, error) {
	data, err := os.ReadFile(d.Path(portFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, Explain(d.path, err)
	}
	port, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || port < 1 || port > 65535 {
		return 0, fmt.Errorf("%s does not hold a port. Try: remove it to have a new port chosen", d.Path(portFile))
	}
	return port, nil
}

// SavePort remembers the port for the next start.
func (d *Dir) SavePort(port int) error { return d.write(portFile, []byte(strconv.Itoa(port)+"\n")) }

// write replaces the named file (0600) in one step.
func (d *Dir) write(name string, data []byte) error {
	file := d.Path(name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return Explain(d.path, err)
	}
	temporary := file + ".new"
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return Explain(d.path, err)
	}
	if err := os.Rename(temporary, file); err != nil {
		return Explain(d.path, err)
	}
	return nil
}

// Explain turns an error of the file system into a sentence that says what to try.
func Explain(path string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("the disk of the data directory %s is full (%w). Try: free some space and start again", path, err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("the data directory %s is not writable (%w). Try: choose a directory of your own", path, err)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, fs.ErrExist):
		return fmt.Errorf("the data directory %s cannot be a directory (%w). Try: choose another path", path, err)
	default:
		return fmt.Errorf("using the data directory %s: %w. Try: choose a directory of your own", path, err)
	}
}

// ID tells the directory from those of other hubs on the same database. It is drawn once.
func (d *Dir) ID() (string, error) {
	data, err := os.ReadFile(d.Path(idFile))
	if errors.Is(err, fs.ErrNotExist) {
		id := string(uuid.NewUUID())
		return id, d.write(idFile, []byte(id+"\n"))
	}
	if err != nil {
		return "", Explain(d.path, err)
	}
	return strings.TrimSpace(string(data)), nil
}
