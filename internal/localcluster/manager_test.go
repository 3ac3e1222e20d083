package localcluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanse-dev/hanse/internal/process"
)

// TestMain lets the test binary be the process of a cluster, with everything but a cluster in it: what the Manager sees
// of one is its files and how it ends.
func TestMain(m *testing.M) {
	if len(os.Args) == 5 && strings.Join(os.Args[1:4], " ") == "local run --dir" {
		os.Exit(pretend(os.Args[4]))
	}
	os.Exit(m.Run())
}

func pretend(dir string) int {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	spec, err := LoadSpec(dir)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	state, err := spec.LoadState()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	state.PID = os.Getpid()
	switch spec.Name {
	case "explains":
		state.Error = "there is no luck. Try: again"
		_ = spec.SaveState(state) // the test notices
		return 1
	case "panics":
		fmt.Println("panic: no words")
		return 2
	case "hangs":
	default:
		state.Ready, state.Version, state.Server = true, "v1.37.1", "https://127.0.0.1:1234"
		state.Network += "again " // counts the starts
		if err := spec.SaveState(state); err != nil {
			return 1
		}
	}
	<-stop
	return 0
}

func manager(t *testing.T) Manager {
	t.Helper()
	m := Manager{Home: filepath.Join(t.TempDir(), "home"), Executable: os.Args[0]}
	t.Cleanup(func() {
		clusters, err := m.List()
		if err != nil {
			t.Error(err)
		}
		for _, c := range clusters {
			if err := m.Delete(context.Background(), c.Name); err != nil {
				t.Error(err)
			}
		}
		if left, err := os.ReadDir(m.Home); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
	return m
}

func create(t *testing.T, m Manager, name string) Cluster {
	t.Helper()
	c, err := m.Create(context.Background(), Spec{Name: name, Provider: "aws", Nodes: 3})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLifeOfACluster(t *testing.T) {
	ctx := context.Background()
	m := manager(t)
	created := create(t, m, "one")
	if created.Phase != Running || created.Region != "us-east-1" || len(created.Zones) != 3 || created.Version != "v1.37.1" {
		t.Errorf("created %+v", created)
	}
	if path, err := m.KubeconfigPath("one"); err != nil || path != filepath.Join(m.Home, "local", "one", "data", "admin.kubeconfig") {
		t.Errorf("kubeconfig %s, %v", path, err)
	}
	if _, err := m.Start(ctx, "one"); err != nil {
		t.Errorf("start of a running cluster: %v", err)
	}
	for range 2 { // the second time nothing is left to stop
		if err := m.Stop(ctx, "one"); err != nil {
			t.Fatal(err)
		}
		if c, err := m.Get("one"); err != nil || c.Phase != Stopped || c.Server == "" {
			t.Errorf("stopped: %+v, %v", c, err)
		}
	}
	started, err := m.Start(ctx, "one")
	if err != nil || started.Phase != Running || started.PID == created.PID || started.Network != "again again " {
		t.Errorf("started %+v, %v", started, err)
	}
	if err := m.Delete(ctx, "one"); err != nil {
		t.Fatal(err)
	}
	if _, ok := process.Running(started.pidFile()); ok {
		t.Error("the process is still there")
	}
	if err := syscall.Kill(started.PID, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d: %v", started.PID, err)
	}
}

func TestKilledCluster(t *testing.T) {
	ctx := context.Background()
	m := manager(t)
	c := create(t, m, "one")
	if err := syscall.Kill(c.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; {
		got, err := m.Get("one")
		if err != nil {
			t.Fatal(err)
		}
		if got.Phase == Stopped {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("killed, and %s", got.Phase)
		}
	}
	if err := m.Stop(ctx, "one"); err != nil {
		t.Error(err)
	}
	if again, err := m.Start(ctx, "one"); err != nil || again.Phase != Running {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestFailuresLeaveNothingAndSayWhy(t *testing.T) {
	m := manager(t)
	for name, want := range map[string]string{
		"explains": "there is no luck. Try: again",
		"panics":   "said last: panic: no words",
	} {
		_, err := m.Create(context.Background(), Spec{Name: name, Provider: "aws"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if clusters, err := m.List(); err != nil || len(clusters) != 0 {
		t.Errorf("left: %v, %v", clusters, err)
	}
}

func TestInterruptedCreateLeavesNothing(t *testing.T) {
	m := manager(t)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_, err := m.Create(ctx, Spec{Name: "hangs", Provider: "aws"})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want the end of the context", err)
	}
	if clusters, err := m.List(); err != nil || len(clusters) != 0 {
		t.Errorf("left: %v, %v", clusters, err)
	}
}

func TestOneNameOneCluster(t *testing.T) {
	m := manager(t)
	errs := make([]error, 4)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, errs[i] = m.Create(context.Background(), Spec{Name: "one", Provider: "aws"}) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !strings.Contains(err.Error(), `there is a local cluster "one" already. Try: `):
			t.Errorf("unclear: %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d got the name", won, len(errs))
	}
	if c, err := m.Get("one"); err != nil || c.Phase != Running {
		t.Errorf("the winner's cluster is gone: %+v, %v", c, err)
	}
}

func TestListIsInOrder(t *testing.T) {
	m := manager(t)
	if clusters, err := m.List(); err != nil || clusters == nil || len(clusters) != 0 {
		t.Errorf("without a home: %v, %v", clusters, err)
	}
	create(t, m, "b")
	if err := m.Stop(context.Background(), "b"); err != nil {
		t.Fatal(err)
	}
	create(t, m, "a")
	clusters, err := m.List()
	if err != nil || len(clusters) != 2 || clusters[0].Name != "a" || clusters[1].Name != "b" {
		t.Fatalf("%v, %v", clusters, err)
	}
	if clusters[0].Port == clusters[1].Port || clusters[0].Port == 0 {
		t.Errorf("ports %d and %d", clusters[0].Port, clusters[1].Port)
	}
}

func TestUnknownClusters(t *testing.T) {
	ctx := context.Background()
	m := manager(t)
	for _, name := range []string{"none", "", ".", "..", "../local", "a/b"} {
		for verb, err := range map[string]error{
			"stop": m.Stop(ctx, name), "delete": m.Delete(ctx, name),
			"start":      func() error { _, err := m.Start(ctx, name); return err }(),
			"kubeconfig": func() error { _, err := m.KubeconfigPath(name); return err }(),
		} {
			if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "Try: hanse local list") {
				t.Errorf("%s %q: %v", verb, name, err)
			}
		}
	}
}

func TestSpecsThatCannotBe(t *testing.T) {
	for _, test := range []struct {
		spec Spec
		want string
	}{
		{Spec{Name: "", Provider: "aws"}, "Try: at most 40 lower case letters"},
		{Spec{Name: "A b", Provider: "aws"}, `"A b" cannot be the name`},
		{Spec{Name: "../x", Provider: "aws"}, "cannot be the name"},
		{Spec{Name: strings.Repeat("a", 41), Provider: "aws"}, "cannot be the name"},
		{Spec{Name: "federation", Provider: "aws"}, "the hub's context"},
		{Spec{Name: "a", Provider: "oracle"}, `unknown provider "oracle". Try: --provider aws, or azure, or google`},
		{Spec{Name: "a", Provider: ""}, "Try: --provider aws"},
		{Spec{Name: "a", Provider: "aws", Port: 70000}, "there is no port 70000"},
		{Spec{Name: "a", Provider: "aws", Components: "etcd"}, "Try: --components=apiserver"},
		{Spec{Name: "a", Provider: "aws", Nodes: 1000}, "Try: a number from 0 to 200"},
	} {
		if _, err := manager(t).Create(context.Background(), test.spec); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %q", test.spec, err, test.want)
		}
	}
}

func TestHomeThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m := Manager{Home: file, Executable: os.Args[0]}
	if _, err := m.Create(context.Background(), Spec{Name: "a", Provider: "aws"}); err == nil || !strings.Contains(err.Error(), "Try: --dir DIR") {
		t.Errorf("%v", err)
	}
}

func TestDamagedFilesAreNamed(t *testing.T) {
	m := manager(t)
	c := create(t, m, "one")
	path := filepath.Join(c.Dir, "state.json")
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := m.List(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("%v, want the path", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func TestEmulatedVersions(t *testing.T) {
	for version, ok := range map[string]bool{"": true, "1.34": true, "v1.34": false, "1.34.2": false, "1.34,kube=1.35": false, "--help": false} {
		_, err := Spec{Name: "a", Provider: "aws", Nodes: 1, EmulatedVersion: version}.Complete()
		if (err == nil) != ok {
			t.Errorf("%q: %v", version, err)
		}
	}
}
