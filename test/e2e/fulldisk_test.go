package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-dev/hanse/test/federation"
)

// TestFullDisk runs a hub on a small disk of its own, which needs no root but a
// kernel that gives users namespaces, and fills it.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mount := fmt.Sprintf("mount -t tmpfs -o size=400m tmpfs %s", dir)
	if out, err := exec.Command("unshare", "-rm", "sh", "-c", mount).CombinedOutput(); err != nil {
		t.Skipf("no disk of its own to be had: %v %s", err, out)
	}
	var stderr bytes.Buffer
	hub := exec.Command("unshare", "-rm", "sh", "-c", mount+` && exec "$0" server --data-dir `+dir+`/data --listen 127.0.0.1:0`, suite.home.Binary)
	hub.Stderr = &stderr
	hub.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, hub.Start())
	ended := make(chan error, 1)
	go func() { ended <- hub.Wait() }()
	t.Cleanup(func() { _ = hub.Process.Kill() })

	// Its disk, seen from here.
	disk := filepath.Join("/proc", fmt.Sprint(hub.Process.Pid), "root", dir)
	var c *clients
	eventually(t, 2*time.Minute, func(ctx context.Context) error {
		cfg, err := federation.LoadConfig(filepath.Join(disk, "data", "admin.kubeconfig"))
		if c, err = newClients("hub", cfg, err); err != nil {
			return err
		}
		_, err = c.CoreV1().Namespaces().Get(ctx, "hanse-system", metav1.GetOptions{})
		return err
	})
	fill(t, filepath.Join(disk, "fill"))

	var exit error
	eventually(t, 2*time.Minute, func(ctx context.Context) error {
		select {
		case exit = <-ended:
			return nil
		default:
		}
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "big-"}, Data: map[string]string{"key": strings.Repeat("x", 500_000)}}
		_, err := c.CoreV1().ConfigMaps("default").Create(ctx, cm, metav1.CreateOptions{})
		return fmt.Errorf("the hub still runs (last answer: %v)", err)
	})
	var code *exec.ExitError
	if !errors.As(exit, &code) {
		t.Fatalf("the hub ended with %v", exit)
	}
	refused(t, federation.Result{Code: code.ExitCode(), Stderr: stderr.String()}, "no space left")
}

// fill writes zeroes to a file until its disk is full.
func fill(t *testing.T, path string) {
	t.Helper()
	file, err := os.Create(path)
	must(t, err)
	defer file.Close()
	zeroes := make([]byte, 1<<20)
	for size := len(zeroes); size > 0; {
		if _, err := file.Write(zeroes[:size]); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else {
			must(t, err)
		}
	}
}
