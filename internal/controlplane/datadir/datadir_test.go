package datadir

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var hubIdentity = Identity{Role: "hub", Name: "federation"}

func open(t *testing.T, path string) *Dir {
	t.Helper()
	d, err := Open(t.Context(), path, hubIdentity)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// impatient ends before anybody gives up a lock.
func impatient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), lockPoll/2)
	t.Cleanup(cancel)
	return ctx
}

// wantSentence fails unless err names part and says what to try.
func wantSentence(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if !strings.Contains(err.Error(), part) || !strings.Contains(err.Error(), "Try: ") {
		t.Errorf("error %q does not say %q and what to try", err, part)
	}
}

func TestOneProcessPerDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub")
	d := open(t, path)
	_, err := Open(impatient(t), path, hubIdentity)
	wantSentence(t, err, "in use by process")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, path)
}

// TestLockGoesWithTheProcess kills a process that holds the lock.
func TestLockGoesWithTheProcess(t *testing.T) {
	if path := os.Getenv("HANSE_TEST_HOLD"); path != "" {
		open(t, path)
		_, _ = os.Stdout.WriteString("held\n")
		select {}
	}
	path := t.TempDir()
	holder := exec.Command(os.Args[0], "-test.run=^TestLockGoesWithTheProcess$")
	holder.Env = append(os.Environ(), "HANSE_TEST_HOLD="+path)
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	_, err = Open(impatient(t), path, hubIdentity)
	wantSentence(t, err, "in use")
	// It is killed while the next one waits.
	time.AfterFunc(5*lockPoll, func() { _ = holder.Process.Kill() })
	open(t, path)
	_ = holder.Wait()
}

func TestDirectoryOfAnotherIsRefused(t *testing.T) {
	path := t.TempDir()
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), path, Identity{Role: "cluster", Name: "aws"})
	wantSentence(t, err, `belongs to the hub "federation"`)
	if err := os.WriteFile(filepath.Join(path, identityFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), path, hubIdentity)
	wantSentence(t, err, "identity.json")
}

func TestFileInPlaceOfTheDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), path, hubIdentity)
	wantSentence(t, err, "cannot be a directory")
}

func TestPortIsRemembered(t *testing.T) {
	d := open(t, t.TempDir())
	if port, err := d.Port(); port != 0 || err != nil {
		t.Fatalf("a new directory has port %d, %v", port, err)
	}
	if err := d.SavePort(6443); err != nil {
		t.Fatal(err)
	}
	if port, err := d.Port(); port != 6443 || err != nil {
		t.Fatalf("got %d, %v", port, err)
	}
	if err := os.WriteFile(d.Path(portFile), []byte("65536"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := d.Port()
	wantSentence(t, err, "does not hold a port")
}
